"""Studies that ask for more cells: grown ones, a stopping rule, tuning."""

import json

import pytest

from fairtrial.cli.main import main
from fairtrial.execution import worker_pool
from fairtrial.execution.runner import Wanted
from fairtrial.storage.outcomes import outcomes
from fairtrial.storage.store import Store
from fairtrial.study.factors import recorded_digest
from fairtrial.study.tuning_plan import Tuning
from fairtrial.tuning.schedule import tuning_alone, whole_study
from fairtrial.tuning.selection import resolve
from tests.support.studies import write
from tests.support.toy import WORKER, store_of, table, toy_study

pytestmark = pytest.mark.slow


# growth


@pytest.mark.parametrize(
    "more", [{"seeds": 5}, {"norms": ("bn", "gn", "ln")}, {"norms": ("ln", "gn", "bn"), "seeds": 4}]
)
def test_a_grown_study_changes_no_old_file_and_trains_the_new_cells_alone(toy, tmp_path, more):
    assert toy(tmp_path) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "toy" / "cells").iterdir()}
    assert toy(tmp_path, toy_study(**more)) == 0
    after = {path: path.read_bytes() for path in (tmp_path / "toy" / "cells").iterdir()}
    assert before == {path: after[path] for path in before}
    assert len(after) == len(toy_study(**more).cells())


def test_every_attempt_says_which_declaration_it_ran_under_whatever_is_declared_later(toy, tmp_path):
    tuning = Tuning({"lr": (0.03, 0.1, 0.3)}, seeds=1)
    declared = [
        toy_study(seeds=1, val_per_class=2),
        toy_study(seeds=2, val_per_class=2),
        toy_study(seeds=2, val_per_class=2, tuning=tuning),
    ]
    known: set[str] = set()
    for number, study in enumerate(declared, start=1):
        assert toy(tmp_path, study, ask=whole_study(study), limit=1) == 5
        assert toy(tmp_path, study, ask=whole_study(study)) == 0
        hashes, attempts = store_of(tmp_path).hashes(), store_of(tmp_path).attempts()
        assert len(hashes) == number and hashes[-1] == recorded_digest(study.declaration())
        made = {record.cell: record.provenance.declaration for record in attempts if record.cell not in known}
        assert made and set(made.values()) == {hashes[-1]}
        known |= made.keys()
    fixed = toy_study(seeds=2, val_per_class=2, tuning=tuning).at_one_rule(0.3)
    assert toy(tmp_path, fixed) == 0
    (digest,) = Store.of(fixed, tmp_path).hashes()
    assert {record.provenance.declaration for record in Store.of(fixed, tmp_path).attempts()} == {digest}


def test_a_lease_from_before_records_said_their_declaration_is_closed(toy, tmp_path):
    assert toy(tmp_path, limit=1) == 5
    (ran,) = store_of(tmp_path).attempts()
    origin = {name: value for name, value in ran.provenance.as_json().items() if name != "declaration"}
    store_of(tmp_path).lease(toy_study().cells()[-1].record(), 1, 1, origin)
    assert toy(tmp_path) == 0
    (killed,) = (record for record in store_of(tmp_path).attempts() if record.status == "killed")
    assert (killed.provenance.declaration,) == store_of(tmp_path).hashes()


# a stopping rule


def rounds(study, *sizes):
    """A rule that asks for so many seeds first, and for more whenever they have an outcome."""
    calls = []

    def ask(known):
        for size in sizes:
            wanted = [cell for cell in study.cells() if cell.seed < size]
            if not {cell.id for cell in wanted} <= known.keys():
                break
        calls.append(len(wanted))
        return Wanted(wanted, (f"up to {size} seeds",))

    return ask, calls


def test_a_rule_is_asked_again_when_its_cells_have_an_outcome(toy, tmp_path, capfd):
    study = toy_study(seeds=4)
    ask, calls = rounds(study, 1, 2, 3)
    assert toy(tmp_path, study, ask=ask) == 0  # the cells of the fourth seed are nobody's wish
    assert calls == [2, 4, 6, 6]
    assert {(row["seed"], row["status"]) for row in table(tmp_path, seeds=4)} == {
        (0, "done"), (1, "done"), (2, "done"), (3, "pending"),
    }  # fmt: skip
    told = capfd.readouterr().err
    assert [told.count(f"up to {seeds} seeds") for seeds in (1, 2, 3)] == [1, 1, 1]
    assert toy(tmp_path, study, ask=ask) == 0
    assert len(store_of(tmp_path).attempts()) == 6


def test_limit_and_budget_hold_over_the_rounds_of_a_rule(toy, tmp_path):
    study = toy_study(seeds=4)
    ask, _ = rounds(study, 1, 2, 3)
    assert toy(tmp_path, study, ask=ask, limit=3) == 5
    assert len(store_of(tmp_path).attempts()) == 3
    assert toy(tmp_path, study, ask=ask, total_budget_s=1e-9) == 5
    assert len(store_of(tmp_path).attempts()) == 3
    assert toy(tmp_path, study, ask=ask) == 0


def test_a_tuned_study_runs_its_trials_first_then_each_arm_at_its_rate(toy, tmp_path, capfd):
    tuning = Tuning({"lr": (0.03, 0.1, 0.3)}, seeds=2, share=0.5)
    study = toy_study(seeds=2, val_per_class=2, tuning=tuning)
    assert toy(tmp_path, study, ask=whole_study(study)) == 0
    attempts = store_of(tmp_path).attempts()
    stages = [record.settings.stage for record in sorted(attempts, key=lambda one: one.provenance.ended)]
    trials = stages.count("tuning")
    assert stages == ["tuning"] * trials + ["downstream"] * (len(stages) - trials)
    _, stage = resolve(study, outcomes(attempts))
    assert stage.complete and len(stage.cells) == trials
    ran = {(r.levels["norm"], r.settings.lr) for r in attempts if r.settings.stage == "downstream"}
    assert ran == {(dict(regime)["norm"], params["lr"]) for (_, regime), params in stage.chosen.items()}
    assert toy(tmp_path, study, ask=whole_study(study)) == 0  # typed again, it trains nothing
    assert len(store_of(tmp_path).attempts()) == len(attempts)


def test_tuning_that_was_cut_off_goes_on_where_it_stopped(toy, tmp_path):
    study = toy_study(seeds=2, val_per_class=2, tuning=Tuning({"lr": (0.03, 0.1, 0.3)}, seeds=1))
    assert toy(tmp_path, study, ask=tuning_alone(study), limit=3) == 5
    assert len(store_of(tmp_path).attempts()) == 3
    assert toy(tmp_path, study, ask=tuning_alone(study)) == 0
    assert {record.settings.stage for record in store_of(tmp_path).attempts()} == {"tuning"}


def test_the_command_line_stops_a_study_early_and_status_tells(monkeypatch, tmp_path, capfd):
    """Toy scores decide nothing within 1 point, so both looks are read; the driver asks the analysis."""
    monkeypatch.setattr(worker_pool, "ENTRY", (WORKER,))
    path = write(tmp_path, ("seeds=range(3)", "seeds=range(6)"))
    where = [str(path), "--results", str(tmp_path / "r"), "--stop", "looks:3,6"]
    assert main(["run", *where]) == 0
    told = capfd.readouterr()
    assert "interim analysis 1 of 2, at 3 seeds: decided " in told.err
    assert "paired seeds (interim analysis " in told.out
    assert main(["status", *where, "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["looks"] and "pending" not in found["counts"]
    assert sum(found["counts"].values()) == found["cells"]
    assert found["counts"].get("spared", 0) == 6  # the arms at batch 16 belong to no contrast
