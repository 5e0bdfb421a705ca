"""The expected best of k."""

import math
from itertools import combinations, product

import numpy as np
import pytest

from fairtrial.stats import expected_best, expected_best_over

X = [0.61, 0.70, 0.55, 0.74, 0.70, 0.68]


@pytest.mark.parametrize("k", range(1, 7))
def test_unbiased_is_the_mean_best_of_all_subsets(k):
    assert expected_best(X, k).estimate == pytest.approx(np.mean([max(s) for s in combinations(X, k)]))


@pytest.mark.parametrize("k", range(1, 6))
def test_with_replacement_is_the_mean_best_of_all_draws(k):
    want = np.mean([max(s) for s in product(X, repeat=k)])
    assert expected_best(X, k, method="with_replacement").estimate == pytest.approx(want)


def test_where_lower_is_better_the_best_is_the_least():
    got = expected_best(X, higher_is_better=False)
    assert got.estimate == pytest.approx([np.mean([min(s) for s in combinations(X, k)]) for k in range(1, 7)])


def test_the_curve_runs_from_the_mean_to_the_best():
    x = np.random.default_rng(0).normal(size=200)
    got = expected_best(x)
    assert got.k.tolist() == list(range(1, 201))
    assert (got.estimate[0], got.estimate[-1]) == pytest.approx((x.mean(), x.max()))
    assert np.all(np.diff(got.estimate) > 0)


@pytest.mark.parametrize(("k", "inflation"), [(5, 1.16), (10, 1.54), (20, 1.87), (50, 2.25)])
def test_the_best_of_k_normal_trials_inflates_as_section_10_says(k, inflation):
    x = np.random.default_rng(1).normal(size=4000)
    assert expected_best(x, k).estimate == pytest.approx(inflation, abs=0.06)


def test_a_failed_trial_takes_the_declared_worst_value():
    with pytest.raises(ValueError, match="declare the `worst` value"):
        expected_best([0.5, math.nan, 0.7])
    assert expected_best([0.5, math.nan, 0.7], 1, worst=0.1).estimate == pytest.approx(1.3 / 3)


def test_the_band_resamples_the_trials_up_to_half_of_them():
    x = np.random.default_rng(2).normal(size=20)
    got = expected_best(x, rng=1)
    means = np.random.default_rng(5).choice(x, size=(20_000, 20)).mean(axis=1)
    assert (got.low[0], got.high[0]) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.03)
    assert np.isfinite(got.low[:10]).all()
    assert np.isinf(got.low[10:]).all()
    assert got.warnings == ("no interval above k = 10, half the trials",)
    assert got.low[0] != expected_best(x, rng=2).low[0]
    assert expected_best(x[::-1], rng=1).low[:10].tolist() == got.low[:10].tolist()


def test_without_a_generator_there_is_no_band():
    got = expected_best(X, 2)
    assert (got.low, got.high) == (-math.inf, math.inf)
    assert got.warnings == ("no interval: no rng was passed",)


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"k": 7}, "k is at most the number of trials, 6; got 7"),
        ({"k": 0}, "k is at least 1"),
        ({"sampler": "tpe"}, "not independent"),
        ({"method": "best"}, "unknown method 'best'"),
    ],
)
def test_what_has_no_expected_best_is_refused(keywords, said):
    with pytest.raises(ValueError, match=said):
        expected_best(X, **keywords)


def test_the_best_is_taken_within_each_tuning_study_and_then_averaged():
    easy, hard = [0.9, 0.8, 0.85], [0.3, 0.5, 0.4]
    found = expected_best_over([easy, hard])
    assert found.estimate == pytest.approx([(0.85 + 0.4) / 2, (2.65 / 3 + 1.4 / 3) / 2, 0.7])
    assert (found.n, found.unit) == (2, "tuning study")
    assert not np.isfinite(found.low).any()  # no rng, no band


def test_tuning_studies_of_unequal_length_are_refused_and_failures_need_a_worst_value():
    with pytest.raises(ValueError, match=r"got \[2, 3\]"):
        expected_best_over([[0.1, 0.2], [0.1, 0.2, 0.3]])
    with pytest.raises(ValueError, match="worst"):
        expected_best_over([[0.1, np.nan], [0.1, 0.2]])
    assert expected_best_over([[0.1, np.nan], [0.1, 0.2]], worst=0.0).estimate[1] == pytest.approx(0.15)


def test_the_band_over_tuning_studies_covers_what_other_trials_would_give():
    rng, inside = np.random.default_rng(5), 0
    for _ in range(40):
        scores = rng.uniform(size=(3, 20))
        found = expected_best_over(scores, rng=rng)
        inside += found.low[1] <= 2 / 3 <= found.high[1]  # the best of 2 uniform draws is 2/3 on average
    assert inside >= 32  # 38 expected; 95 % nominal, percentile bands are a little narrow
