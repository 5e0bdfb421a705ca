"""Which kernels run here: asked once in a run, of a worker that has tried, and the answer travels."""

import os
import subprocess
import sys

import pytest

from fairtrial.cli import doctor
from fairtrial.errors import Fault
from fairtrial.execution import runner, step_times, worker_pool
from fairtrial.execution.launches import calibrate
from fairtrial.execution.runner import Options
from fairtrial.kernels import dispatch
from tests.support.compilers import FAILING, failing, quick
from tests.support.mounts import within
from tests.support.toy import WORKER, run, store_of, toy_study

SECONDS = {"budget": "2s", "seeds": 2}
DOCTOR = """
from fairtrial.__main__ import main
from fairtrial.cli import doctor

doctor.EXTRAS = {}  # to load what each of them brings takes seconds
doctor._torch = lambda: ("2.11.0", [])  # so does torch
main()
"""


@pytest.fixture
def fresh(fresh_kernels, tmp_path, monkeypatch):
    monkeypatch.setenv("TOY_TRIES", "the kernels")
    return tmp_path


@pytest.fixture
def compiles(library, fresh, monkeypatch):
    """There is a compiler, and it is quick."""
    monkeypatch.setenv("CC", quick(library, fresh))


def kernels_of(results):
    """What the calibrations and the attempts say that they ran on."""
    store = store_of(results)
    records = [*store.calibrations(), *store.attempts()]
    return [record.provenance.kernels for record in records]


def said(errors):
    return [line for line in errors.splitlines() if line.startswith("kernels: ")]


@pytest.mark.parametrize("name", FAILING)
def test_a_study_in_seconds_ends_done_on_torchs_kernels_and_one_line_says_why(fresh, monkeypatch, name):
    monkeypatch.setenv("CC", failing(name, fresh))
    limit = {"TOY_LONGEST_S": "2"} if name == "hangs" else {}
    code, errors = run(fresh / "r", study=SECONDS, toy=limit)
    assert code == 0, errors
    assert kernels_of(fresh / "r") == ["torch"] * 6  # launches before each seed, four cells
    times = {attempt.spent.calibrated_step_s for attempt in store_of(fresh / "r").attempts()}
    assert times == {0.01, 0.02}
    (line,) = said(errors)
    assert line.startswith("kernels: torch's own, which are slower: ") and FAILING[name][1] in line


def test_a_cache_that_is_mounted_noexec_does_the_same_and_doctor_says_so(compiles, fresh):
    mounted = within("noexec", fresh / "cache")
    code, errors = run(fresh / "r", study=SECONDS, within=mounted)
    assert code == 0, errors
    assert kernels_of(fresh / "r") == ["torch"] * 6
    (line,) = said(errors)
    assert "do not load" in line and "failed to map segment" in line
    command = [*mounted, sys.executable, "-P", "-c", DOCTOR, "doctor", "--results", str(fresh)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=240)
    (line,) = [line for line in told.stdout.splitlines() if line.startswith("kernels")]
    assert "torch" in line and "failed to map segment" in line


def test_processes_side_by_side_try_the_kernels_once(fresh, monkeypatch):
    monkeypatch.setenv("CC", failing("hangs", fresh))
    code, errors = run(fresh / "r", toy={"TOY_LONGEST_S": "2"}, jobs=3)
    assert (code, len(said(errors)), (fresh / "calls").read_text()) == (0, 1, "x\n")


def test_a_gpu_that_triton_cannot_use_trains_on_torchs_kernels(fresh, monkeypatch):
    """Triton is installed; the GPU is below compute capability 8.0."""
    (fresh / "torch.py").write_text(
        "class device:\n def __init__(self, name): self.type = name.partition(':')[0]\n"
        "class version: hip = None\n"
        "class cuda:\n is_available = staticmethod(lambda: True)\n"
        " get_device_capability = staticmethod(lambda device: (7, 5))\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(fresh), os.environ.get("PYTHONPATH", "")]))
    code, errors = run(fresh / "r", study=SECONDS, device="cuda:0,cuda:1")
    assert code == 0, errors
    assert kernels_of(fresh / "r") == ["torch"] * 5  # with two devices launches at the start alone
    assert all("compute capability 8.0 or later; this GPU has 7.5" in line for line in said(errors))


def test_where_they_work_the_records_and_the_calibration_say_so(compiles, fresh):
    code, errors = run(fresh / "r", study=SECONDS)
    assert (code, said(errors), kernels_of(fresh / "r")) == (0, [], ["compiled"] * 6)


def test_times_of_other_kernels_are_measured_anew(compiles, fresh, monkeypatch):
    """A calibration on torch's kernels is none for the compiled ones."""
    working = os.environ["CC"]
    monkeypatch.setenv("CC", "no-such-cc")
    monkeypatch.setattr(worker_pool, "ENTRY", (WORKER,))
    calibrate(toy_study(**SECONDS), Options(results=fresh))
    monkeypatch.setenv("CC", working)
    assert runner.run(toy_study(**SECONDS), Options(results=fresh)) == 0
    assert kernels_of(fresh) == ["torch", *["compiled"] * 6]


def test_an_arm_without_a_time_stops_the_driver_and_no_cell_is_spent(fresh, monkeypatch):
    monkeypatch.setattr(worker_pool, "ENTRY", (WORKER,))
    monkeypatch.setenv("CC", "no-such-cc")  # whatever the kernels are; compiling takes seconds
    monkeypatch.setattr(step_times, "calibrated", lambda *_: {})
    with pytest.raises(Fault, match="no step of bn was timed") as refused:
        runner.run(toy_study(**SECONDS), Options(results=fresh))
    assert refused.value.code == 4
    assert not store_of(fresh).attempts()


@pytest.fixture
def no_extras(monkeypatch):
    """The doctor loads what each of them brings, which takes seconds."""
    monkeypatch.setattr(doctor, "EXTRAS", {})


@pytest.mark.parametrize("name", ["writes nonsense", "computes nonsense", "crashes at load"])
def test_the_doctor_says_what_a_run_says(fresh, no_extras, monkeypatch, name):
    monkeypatch.setenv("CC", failing(name, fresh))
    found, _ = doctor.examine(fresh, None)
    assert found["kernels"].kernels == "torch" and FAILING[name][1] in found["kernels"].reason
    (line,) = [line for line in doctor.lines(found) if line.startswith("kernels")]
    assert found["kernels"].reason in line


def test_the_doctor_asks_for_each_gpu(fresh, no_extras, monkeypatch):
    monkeypatch.setattr(doctor, "_torch", lambda: ("2.11.0", ["cuda:0 Tesla T4"]))
    monkeypatch.setattr(dispatch, "check", lambda device: "too old" if device == "cuda:0" else None)
    found, _ = doctor.examine(fresh, None)
    assert [line for line in doctor.lines(found) if line.startswith("kernels")] == [
        "kernels   compiled",
        "kernels   on cuda:0: torch (too old): standardized filters and gn are slower",
    ]
