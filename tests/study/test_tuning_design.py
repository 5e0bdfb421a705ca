"""Tuning in a declaration: which settings a cell gets, and that an untuned study knows nothing of it."""

from dataclasses import replace

import pytest

from fairtrial.study.study import Study
from fairtrial.study.tuning_design import FIRST_SEED, Choice, Effort, Tuning
from tests.support.studies import study

RATES = {0: 0.1, 1: 0.2, 2: 0.4}


def tuned(**changes):
    """A study whose tuning study t gave lr RATES[t] to bn and ten times less to gn."""
    choices = tuple(
        Choice(t, {"norm": norm, "batch_size": batch}, {"lr": rate / (1 if norm == "bn" else 10)})
        for t, rate in RATES.items()
        for norm in ("bn", "gn")
        for batch in (4, 16)
    )
    efforts = tuple(
        Effort({"norm": norm, "batch_size": batch}, 12, 0, 3.5) for norm in ("bn", "gn") for batch in (4, 16)
    )
    tuning = Tuning(4, 3, "random", ("lr=0.01:1:log",), choices, efforts)
    return study(tuning=tuning, seeds=range(7), **changes)


def test_seeds_are_dealt_to_the_tuning_studies_in_turn_and_each_arm_gets_its_own_settings():
    cells = [cell for cell in tuned().cells() if cell.levels["batch_size"] == 4]
    found = [(cell.seed, cell.levels["norm"], cell.settings.lr) for cell in cells]
    assert found[:4] == [(0, "bn", 0.1), (0, "gn", 0.01), (1, "bn", 0.2), (1, "gn", 0.02)]
    assert [rate for seed, norm, rate in found if norm == "bn"] == [0.1, 0.2, 0.4, 0.1, 0.2, 0.4, 0.1]


def test_the_chosen_settings_are_part_of_a_cells_identity():
    plain = {(c.seed, c.arm): c.id for c in study(seeds=range(7)).cells()}
    for cell in tuned().cells():
        same = study(seeds=range(7), fixed={"lr": cell.settings.lr}).cells()
        assert cell.id in {other.id for other in same}
        assert cell.id != plain[cell.seed, cell.arm]  # the study's own lr is 0.3


def test_a_declaration_holds_the_tuning_only_where_there_was_one():
    assert "tuning" not in study().declaration()
    declared = tuned().declaration()["tuning"]
    assert declared["efforts"][0] == {
        "at": {"norm": "bn", "batch_size": 4}, "trials": 12, "failed": 0, "device_s": 3.5,
    }  # fmt: skip
    assert (declared["metric"], declared["failed_trial"]) == ("val_acc", 0.0)


def test_a_declaration_gives_back_the_same_cells():
    again = Study.of(tuned().declaration())
    assert [cell.id for cell in again.cells()] == [cell.id for cell in tuned().cells()]
    assert again.tuning == tuned().tuning


def test_trials_are_declared_by_their_design_and_are_cells_once_they_are_proposed():
    some = replace(tuned().tuning, efforts=())
    trials = study(tuning=some, seeds=range(FIRST_SEED, FIRST_SEED + 4), primary=())
    assert "choices" not in trials.declaration()["tuning"]
    assert sorted({cell.seed for cell in trials.cells()}) == [FIRST_SEED, FIRST_SEED + 1, FIRST_SEED + 2]


@pytest.mark.parametrize(("seed", "index"), [(0, 0), (5, 2), (FIRST_SEED, 0), (FIRST_SEED + 2, 2)])
def test_a_seed_belongs_to_one_tuning_study(seed, index):
    assert tuned().tuning.index(seed) == index
