"""Which recorded runs the verdicts of a study rest on."""

import pytest

from fairtrial.storage.outcomes import of_study, outcomes
from fairtrial.study.study import regime_of
from tests.support.records import declared_store, publish
from tests.support.toy import toy_study


@pytest.fixture
def recorded(tmp_path):
    """Publish the cells of studies -> what is recorded by then."""

    def put(*studies):
        for study in studies:
            store = declared_store(study, tmp_path)
            for cell in study.cells():
                publish(store, cell)
        return outcomes(store.attempts())

    return put


@pytest.fixture
def tuned():
    """A study whose rate is to be tuned."""
    return toy_study(val_per_class=2, tuning={}, seeds=2)


def at(study, rate):
    """The study as if its trials had chosen this rate for every arm."""
    return study.tuned({(0, regime_of(arm)): {"lr": rate} for arm in study.arms()})


def test_before_its_trials_choose_a_study_counts_runs_at_any_rate(recorded, tuned):
    found = of_study(tuned, recorded(at(tuned, 0.1), at(tuned, 0.3)))
    assert len(found) == 8 and {run.settings.lr for run in found} == {0.1, 0.3}


def test_once_they_chose_a_run_at_another_rate_is_left_over(recorded, tuned):
    ended = recorded(at(tuned, 0.1), at(tuned, 0.3))
    assert {run.settings.lr for run in of_study(at(tuned, 0.3), ended)} == {0.3}


def test_a_study_at_one_rate_counts_its_own_cells(recorded):
    study = toy_study(seeds=2)
    assert {run.cell for run in of_study(study, recorded(toy_study(seeds=3)))} == {
        cell.id for cell in study.cells()
    }
