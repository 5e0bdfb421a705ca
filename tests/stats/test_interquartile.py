"""The interquartile mean: against scipy's trimmed mean, by enumeration, and at its known coverage."""

from itertools import product

import numpy as np
import pytest
from scipy import stats as scipy_stats

from fairtrial.stats import iqm_interval


def table(seed, runs, tasks):
    return np.random.default_rng(seed).normal(0.7, 0.1, size=(runs, tasks))


@pytest.mark.parametrize(("runs", "tasks"), [(3, 1), (3, 4), (5, 2), (10, 4), (7, 3)])
def test_the_estimate_is_scipys_trimmed_mean_of_all_scores(runs, tasks):
    for seed in range(40):
        scores = table(seed, runs, tasks)
        found = iqm_interval(scores, resamples=10, rng=0)
        assert found.estimate == pytest.approx(scipy_stats.trim_mean(scores.ravel(), 0.25))
        assert found.mean == pytest.approx(scores.mean())
        assert found.median == pytest.approx(np.median(scores.mean(axis=0)))
        assert found.optimality_gap == pytest.approx(np.mean([max(1 - x, 0) for x in scores.ravel()]))
        assert (found.n, found.tasks) == (runs, tasks)


def test_limits_are_those_of_all_resamples():
    scores = table(1, 3, 2)
    every = [
        scipy_stats.trim_mean([*(scores[i, 0] for i in first), *(scores[i, 1] for i in second)], 0.25)
        for first, second in product(product(range(3), repeat=3), repeat=2)
    ]
    found = iqm_interval(scores, level=0.8, resamples=200_000, rng=3)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(every, [0.1, 0.9])), abs=2e-3)


def test_tasks_are_resampled_apart_and_shift_scale_and_order_carry_through():
    scores = table(2, 10, 4)
    found = iqm_interval(scores, resamples=2000, rng=5)
    moved = iqm_interval(3 * scores + 1, resamples=2000, rng=5)
    assert (moved.low, moved.estimate, moved.high) == pytest.approx(
        tuple(3 * each + 1 for each in (found.low, found.estimate, found.high))
    )
    mixed = np.column_stack([np.random.default_rng(i).permutation(scores[:, i]) for i in range(4)])
    assert iqm_interval(mixed, resamples=2000, rng=5) == found
    assert iqm_interval(scores, resamples=2000, rng=6) != found


def test_a_lost_run_hardly_moves_it():
    scores = table(3, 10, 4)
    lost = scores.copy()
    lost[0] = 0.0
    gap = (
        iqm_interval(lost, resamples=10, rng=0).estimate - iqm_interval(scores, resamples=10, rng=0).estimate
    )
    assert abs(gap) < abs(lost.mean() - scores.mean()) / 2


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        (table(4, 3, 1), "equals the mean"),
        (table(4, 5, 4), "approximate"),
        (table(4, 1, 4), "one run per task"),
        (np.tile([0.5, 0.9], (10, 1)), "zero observed variance"),
    ],
)
def test_what_it_cannot_promise_is_said(scores, says):
    found = iqm_interval(scores, resamples=100, rng=0)
    assert any(says in warning for warning in found.warnings)
    assert np.isinf(found.high) == says.startswith(("one", "zero"))


def test_ten_runs_carry_no_warning():
    assert iqm_interval(table(5, 10, 4), resamples=100, rng=0).warnings == ()


@pytest.mark.parametrize("bad", [[], [[]], [[1.0, 2.0], [1.0]], [[0.5], [np.nan]], [[0.5], [np.inf]]])
def test_a_table_that_is_none_is_refused(bad):
    with pytest.raises(ValueError, match="scores"):
        iqm_interval(bad, rng=0)


def test_chance_is_never_drawn_without_a_generator():
    with pytest.raises(ValueError, match="rng"):
        iqm_interval(table(6, 10, 2), rng=None)
