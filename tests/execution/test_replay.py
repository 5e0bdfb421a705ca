"""Recorded cells that are run again: they agree bit for bit, or it is said why they may not."""

import json
import shutil
from collections import Counter

import pytest

from fairtrial.cli.main import main
from fairtrial.execution import replay as replayed
from fairtrial.execution import runner, worker_pool
from fairtrial.execution.process_environment import kept_to
from fairtrial.execution.runner import Options
from fairtrial.storage.integrity import sealed
from fairtrial.storage.provenance import Provenance, gather
from fairtrial.storage.store import Store
from fairtrial.study.budget import Budget
from fairtrial.study.tuning_plan import Tuning
from fairtrial.tuning.schedule import whole_study
from tests.support.studies import study, write
from tests.support.toy import WORKER


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Return of(study): the results that toy workers left, run once."""
    known = {}

    def of(made):
        key = json.dumps(made.declaration(), sort_keys=True)
        if key not in known:
            results = tmp_path_factory.mktemp("ran") / "r"
            assert runner.run(made, Options(results=results, jobs=1), whole_study(made)) == 0
            known[key] = results
        return known[key]

    return of


@pytest.fixture
def recorded(ran, tmp_path, monkeypatch, capfd):
    """A study that toy workers have run -> its store, a copy to spoil."""
    monkeypatch.setattr(worker_pool, "ENTRY", (WORKER,))
    write(tmp_path)

    def make(**changed):
        made = study(seeds=range(2), **changed)
        shutil.copytree(ran(made), tmp_path / "r")
        capfd.readouterr()
        return Store.of(made, tmp_path / "r")

    return make


@pytest.fixture
def replay(tmp_path, capfd):
    """`fairtrial replay` with so many cells: (exit code, its JSON, the faults on stderr)."""

    def run(sample=50, *more):
        where = [str(tmp_path / "small.py"), "--results", str(tmp_path / "r"), "--json"]
        code = main(["replay", *where, "--sample", str(sample), *more])
        out, err = capfd.readouterr()
        return code, json.loads(out), [json.loads(line) for line in err.splitlines() if line[0] == "{"]

    return run


def edit(store, which=lambda one: True, **parts):
    """Merge values into a record, under a new seal; its path."""
    record = next(one for one in store.attempts() if which(one))
    path = store.folder / "cells" / f"{record.cell}-{record.number}.json"
    body = record.as_json()
    path.write_text(sealed(body | {part: body[part] | values for part, values in parts.items()}))
    return path


def test_cells_and_trials_agree_and_nothing_is_written(recorded, replay):
    store = recorded(fixed={"lr": 0.3, "val_per_class": 2}, tuning=Tuning({"lr": (0.03, 0.1, 0.3)}, seeds=1))
    before = {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()}
    code, found, faults = replay()
    assert (code, faults) == (0, [])
    attempts = store.attempts()
    assert {one["cell"] for one in found["cells"]} == {one.cell for one in attempts}
    assert Counter(one.settings.stage for one in attempts)["tuning"] > 4
    empty = {"agrees": True, "differing": {}, "made_elsewhere": {}, "code": {}}
    assert all(one.items() >= empty.items() for one in found["cells"])
    assert {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()} == before


def test_a_budget_in_seconds_gets_the_steps_that_were_recorded(recorded, replay):
    store = recorded(budget=Budget(seconds=1))
    slow = {"calibrated_step_s": 0.1, "steps": 10}
    edit(store, lambda one: one.settings.batch_size == 4, spent=slow | {"examples": 40})
    code, found, _ = replay()
    assert code == 0 and len(found["cells"]) == 8


def test_a_sample_is_chosen_by_its_seed_and_grows(recorded, replay):
    recorded()
    cells = [[one["cell"] for one in replay(n, "--seed", "7")[1]["cells"]] for n in (2, 2, 4)]
    assert cells[0] == cells[1] and set(cells[0]) < set(cells[2]) and len(cells[2]) == 4
    other = replay(2, "--seed", "1")[1]["cells"]
    assert {one["cell"] for one in other} != set(cells[0])


@pytest.mark.parametrize(("share", "cells"), [("25%", 2), ("26 %", 3), ("0.1%", 1), ("100%", 8)])
def test_a_sample_may_be_a_share_of_the_cells_rounded_up(recorded, replay, share, cells):
    recorded()
    assert len(replay(share)[1]["cells"]) == cells


@pytest.mark.parametrize("share", ["0%", "101%", "-2%", "2%%", "two%"])
def test_a_share_that_is_none_is_refused(recorded, replay, share, tmp_path, capfd):
    recorded()
    assert (
        main(["replay", str(tmp_path / "small.py"), "--results", str(tmp_path / "r"), "--sample", share]) == 2
    )
    assert "--sample" in capfd.readouterr().err


def test_a_record_that_its_run_does_not_give_is_named_with_the_difference_and_exits_with_3(recorded, replay):
    store = recorded()
    acc = store.attempts()[0].measured.test_acc
    path = edit(store, measured={"test_acc": acc / 2, "weights_sha256": "ab" * 32})
    code, found, (fault,) = replay()
    (one,) = (one for one in found["cells"] if not one["agrees"])
    assert (code, fault["code"], fault["where"]) == (3, 3, str(path))
    assert one["differing"]["test_acc"] == {"recorded": acc / 2, "now": acc}
    assert "does not reproduce, and no captured field of machine or libraries differs; " in fault["what"]
    assert f"({acc / 2:+.3g})" in fault["what"] and f"weights_sha256 {'ab' * 6}..." in fault["what"]


@pytest.mark.parametrize(
    ("origin", "told"),
    [
        ({"torch": "1.13"}, "torch 1.13, here 2."),
        ({"cpu": "abacus"}, "cpu abacus, here "),
        ({"data": "e" * 64}, "data eeeeeeeeeeee..., here dddddddddddd..."),
        ({"flags": {"instructions": "AVX9000"}}, "instructions AVX9000, here "),
        ({"environment": {"MKL_CBWR": "AVX"}}, None),  # it is set again
    ],
)
def test_a_field_of_the_origin_that_differs_is_named_before_the_difference(recorded, replay, origin, told):
    store = recorded()
    edit(store, measured={"test_acc": 0.0}, origin=origin)
    code, _, (fault,) = replay()
    assert code == fault["code"] == (4 if told else 3)
    said = f"was made elsewhere: {told}" if told else "does not reproduce"
    assert fault["what"].index(said) < fault["what"].index("test_acc 0.0 recorded")


def test_other_bits_after_another_commit_are_no_matter_of_the_machine(recorded, replay):
    store = recorded()
    edit(store, measured={"test_acc": 0.0}, origin={"commit": "f" * 40})
    code, _, (fault,) = replay()
    assert code == 3 and f"code: commit {'f' * 40}, here " in fault["what"]


def test_a_processor_with_more_instructions_is_another_one(recorded, replay, monkeypatch):
    """It is kept to those of the record, which gives the same bits on many; where not, no code is blamed."""
    monkeypatch.setattr(replayed, "best_instructions", lambda: "AVX512")
    store = recorded()
    edit(store, measured={"test_acc": 0.0}, origin={"flags": {"instructions": "AVX2"}})
    code, _, (fault,) = replay()
    assert code == 4 and "was made elsewhere: instructions AVX2, here AVX512 held to AVX2" in fault["what"]


def test_a_record_that_names_its_processor_is_compared_by_it(recorded, replay):
    """Made here and held to less, it must agree here."""
    store = recorded()
    flags = {"instructions": "AVX2", "processor": "AVX9000"}
    edit(store, measured={"test_acc": 0.0}, origin={"flags": flags})
    code, _, (fault,) = replay()
    assert code == 4 and "processor AVX9000, here " in fault["what"]


def test_cells_are_kept_to_the_instructions_of_their_record():
    place = Provenance(flags={"instructions": "AVX2"})
    assert replayed._conditions(place)["environment"] == kept_to("AVX2")


def test_variables_that_choose_instructions_are_in_the_record(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    found = gather("cpu", 1, {})["environment"]
    assert found.items() >= {"ONEDNN_MAX_CPU_ISA": "AVX2", "NVIDIA_TF32_OVERRIDE": "1"}.items()


def test_threads_and_kernels_are_those_of_the_record(recorded, replay):
    """Each cell runs as it did, not as the machine would choose now."""
    store = recorded()
    for seed, origin in ((0, {"kernels": "torch"}), (1, {"threads": 2})):
        path = edit(store, lambda one, seed=seed: one.seed == seed, origin=origin)
        body = json.loads(path.read_text())
        assert body["origin"].items() >= origin.items()
    code, found, _ = replay()
    assert code == 0 and [one["made_elsewhere"] for one in found["cells"]] == [{}] * 8


def test_a_cell_that_ends_its_worker_is_a_refusal(recorded, replay, monkeypatch, tmp_path, capfd):
    recorded()
    monkeypatch.setenv("TOY", json.dumps({"bn 0": "kill", "bn 1": "kill", "gn 0": "kill", "gn 1": "kill"}))
    assert main(["replay", str(tmp_path / "small.py"), "--results", str(tmp_path / "r")]) == 4
    assert "the cell did not end: the worker was killed by signal 9" in capfd.readouterr().err


def test_a_study_without_results_says_what_to_run(tmp_path, capfd):
    write(tmp_path)
    assert main(["replay", str(tmp_path / "small.py"), "--results", str(tmp_path / "r")]) == 3
    assert "fairtrial run small" in capfd.readouterr().err
