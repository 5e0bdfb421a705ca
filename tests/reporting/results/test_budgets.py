"""Runs of one arm under several budgets: which belong together, and what is read between them."""

from __future__ import annotations

import math

import pytest

from fairtrial.reporting.results import load
from fairtrial.reporting.results.budgets import ABOVE, BELOW, Budgets, recorded
from tests.reporting.whatif_truth import in_seconds, in_steps, truth

RUNS = Budgets({"a": [(100, {"test_acc": 0.5}), (400, {"test_acc": 0.7})]}, {"b": {"test_acc": 0.1}}, (), ())


def test_between_two_runs_a_score_is_on_the_line_over_the_logarithm():
    assert RUNS.at("a", 200, "test_acc") == pytest.approx(0.6)
    assert [RUNS.at("a", 200, "test_acc", how) for how in (BELOW, ABOVE)] == [0.5, 0.7]
    assert [RUNS.at("a", steps, "test_acc", ABOVE) for steps in (100, 400)] == [0.5, 0.7]


@pytest.mark.parametrize("steps", [99, 401, math.inf])
def test_beyond_the_runs_nothing_is_said(steps):
    assert RUNS.at("a", steps, "test_acc") is None


def test_what_was_not_recorded_is_not_read():
    assert RUNS.at("a", 100, "test_loss") is None and RUNS.at("c", 100, "test_acc") is None


def test_no_budget_changes_a_failed_run():
    assert RUNS.at("b", math.inf, "test_acc") == 0.1


@pytest.fixture
def read(make_study, publish):
    """The budgets of a study with one beside it, whose outcome or study may differ."""

    def made(beside=None, **changed):
        publish(in_steps(make_study, 200, **changed), beside or truth(0.0))
        store = publish(in_seconds(make_study), truth(0.0))
        results = load.load(store)
        cell = next(cell for cell in results.study.cells() if cell.arm == "gn+ws, batch 4" and cell.seed == 3)
        return recorded(results, store), cell.id

    return made


def test_a_study_beside_it_with_the_same_draws_is_used(read):
    found, cell = read()
    assert found.sources == ("steps-200",)
    assert [steps for steps, _ in found.points[cell]] == [100, 200]


@pytest.mark.parametrize("changed", [{"fixed": {"lr": 0.3}}, {"seeds": range(20, 30)}])
def test_other_settings_or_seeds_are_other_runs(read, changed):
    found, cell = read(**changed)
    assert found.sources == () and len(found.points[cell]) == 1


@pytest.mark.parametrize("drawn", ["subset", "init", "order"])
def test_other_draws_are_other_runs(read, drawn):
    found, cell = read(lambda cell: truth(0.0)(cell) | {"drawn": {drawn: "other"}})
    assert found.sources == () and len(found.points[cell]) == 1


def test_a_failed_run_is_no_point(read):
    found, cell = read(lambda cell: "diverged" if cell.seed == 3 else truth(0.0)(cell))
    assert found.sources == ("steps-200",) and len(found.points[cell]) == 1


def test_a_study_that_cannot_be_read_is_named(make_study, publish):
    other = publish(in_steps(make_study, 200), truth(0.0))
    path = min(other.folder.glob("cells/*.json"))
    path.write_text(path.read_text().replace("0.8", "0.9", 1))
    store = publish(in_seconds(make_study), truth(0.0))
    found = recorded(load.load(store), store)
    assert (found.sources, found.unread) == ((), ("steps-200",))
