"""A kill at each named point of a run: nothing lost, nothing counted twice (docs/resuming.md)."""

import errno
import os
import re
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from fairtrial import failpoints
from fairtrial.cli import doctor
from fairtrial.cli.main import main
from fairtrial.errors import RESOURCES, USAGE
from fairtrial.failpoints import CHECKPOINT, NAMES, STEP, VARIABLE, Failpoint, failpoint
from fairtrial.installation import ROOT, isolated_python
from fairtrial.study.failure_policy import STATUSES
from tests.support.toy import hits, leases, records, run, store_of, table

pytestmark = pytest.mark.slow

HOW = {"jobs": 1, "beat_s": 0.1}
TOY = {"TOY_SLEEP_S": "0.3"}
# the others lie in a training loop: tests/execution/cell/test_resume.py
OF_A_RUN = [name for name in NAMES if name not in (STEP, "ckpt-prune", *CHECKPOINT)]

ONCE = "study-final-before"  # its first hit is its last one


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Seeds -> a run that nothing hits: its table, and how often a process reached each point."""

    @cache
    def ran(seeds):
        folder = tmp_path_factory.mktemp("whole")
        toy = {**TOY, "TOY_HITS": str(folder / "hits")}
        assert run(folder, study={"seeds": seeds}, toy=toy, **HOW)[0] == 0
        return table(folder, seeds=seeds), hits(folder / "hits")

    return ran


def check(folder, monkeypatch, point, whole, seeds):
    """Fail at a point, run the same command again, and hold what there is against the whole run."""
    study = {"seeds": seeds}
    monkeypatch.setenv(VARIABLE, point)
    code, _ = run(folder, study=study, toy=TOY, **HOW)
    monkeypatch.delenv(VARIABLE)
    finished = {path: path.read_bytes() for path in records(folder)}
    # the run itself may have tried the cell again
    attempts = store_of(folder).attempts() if (folder / "toy" / "study.json").exists() else []
    assert code != 0 or any(attempt.status == "killed" for attempt in attempts), "it was not reached"
    assert run(folder, study=study, toy=TOY, retry=True, **HOW)[0] == 0
    assert table(folder, **study) == whole(seeds)[0]
    assert {path: path.read_bytes() for path in finished} == finished  # none lost or written anew
    assert not leases(folder) and not list(folder.rglob("*.tmp"))
    attempts = store_of(folder).attempts()
    assert {attempt.status for attempt in attempts} <= {*STATUSES}
    for cell, count in Counter(attempt.cell for attempt in attempts).items():
        assert [a.number for a in attempts if a.cell == cell] == list(range(1, count + 1))
        assert sum(a.cell == cell and a.status == "done" for a in attempts) == 1


@pytest.mark.parametrize("name", OF_A_RUN)
def test_a_kill_at_the_first_hit_of_a_point_changes_nothing(tmp_path, monkeypatch, name, whole):
    check(tmp_path, monkeypatch, name, whole, seeds=1)


@pytest.mark.soak
@pytest.mark.parametrize("which", ["second", "last"])
@pytest.mark.parametrize("name", [name for name in OF_A_RUN if name != ONCE])
def test_a_kill_at_a_later_hit_changes_nothing(tmp_path, monkeypatch, name, which, whole):
    last = whole(4)[1][name]
    check(tmp_path, monkeypatch, f"{name}:{2 if which == 'second' else last}", whole, seeds=4)


def test_a_run_reaches_every_point_of_a_run(whole):
    reached = whole(1)[1]
    assert set(reached) == set(OF_A_RUN)
    assert [name for name, hits in reached.items() if hits == 1] == [ONCE]


def test_a_disk_that_fills_halfway_through_a_record_is_exit_6_and_the_next_run_finishes(
    tmp_path, monkeypatch, whole
):
    monkeypatch.setenv(VARIABLE, "result-half:2:enospc")
    code, told = run(tmp_path, study={"seeds": 1}, toy=TOY, **HOW)
    assert code == RESOURCES and "free some space" in told
    monkeypatch.delenv(VARIABLE)
    assert run(tmp_path, study={"seeds": 1}, toy=TOY, **HOW)[0] == 0
    assert table(tmp_path, seeds=1) == whole(1)[0]


@pytest.mark.parametrize(
    ("text", "name", "nth", "action"),
    [
        ("claim-after", "claim-after", 1, "kill"),
        ("step-k:7", "step-k", 7, "kill"),
        ("ckpt-prune:enospc", "ckpt-prune", 1, "enospc"),
        ("cell-start:3:sleep", "cell-start", 3, "sleep"),
    ],
)
def test_the_variable_is_read(text, name, nth, action):
    point = Failpoint(text)
    assert (point.name, point.nth, point.action, point.problem) == (name, nth, action, "")


@pytest.mark.parametrize("text", ["claim", "", ":1", "cell-start:0", "cell-start:x", "cell-start:1:2:kill"])
def test_what_means_nothing_is_never_inert(text, monkeypatch):
    point = Failpoint(text)
    assert point.problem
    monkeypatch.setattr(failpoints, "_set", point)
    with pytest.raises(ValueError, match="failpoint"):
        failpoint("claim-after")


def test_an_unknown_name_is_exit_2(tmp_path):
    environment = {**os.environ, VARIABLE: "claim-befor"}
    command = isolated_python("-m", "fairtrial", "status", "norm", "--results", str(tmp_path))
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == USAGE
    assert "unknown failpoint 'claim-befor'; known: claim-before" in done.stderr and VARIABLE in done.stderr


def test_each_action_happens_at_its_hit_alone(monkeypatch):
    slept = []
    monkeypatch.setattr(failpoints.time, "sleep", slept.append)
    monkeypatch.setattr(failpoints, "_set", Failpoint("claim-after:2:sleep"))
    for _ in range(3):
        failpoint("claim-after")
        failpoint("claim-before")
    assert slept == [failpoints.HELD_S]
    monkeypatch.setattr(failpoints, "_set", Failpoint("step-k:5:enospc"))
    failpoint(STEP, 4)
    with pytest.raises(OSError) as stopped:
        failpoint(STEP, 5)
    assert stopped.value.errno == errno.ENOSPC


def test_the_doctor_names_a_point_that_is_set(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv(VARIABLE, "claim-after:3")
    monkeypatch.setattr(doctor, "EXTRAS", {})  # to load what they bring takes seconds
    main(["doctor", "--results", str(tmp_path)])
    assert f"{VARIABLE}=claim-after:3" in capsys.readouterr().out


def test_the_page_names_every_point_and_no_other():
    page = (Path(ROOT) / "docs" / "resuming.md").read_text()
    rows = re.findall(r"^\| (`.*?) \|", page.partition("## Failpoints")[2], re.MULTILINE)
    assert re.findall(r"`([\w-]+)`", "".join(rows)) == list(NAMES)
