"""The probability of improvement."""

import math

import numpy as np
import pytest
from scipy import stats

from fairtrial.stats import probability_of_improvement


def test_it_is_mann_whitneys_u_over_the_number_of_pairs():
    rng = np.random.default_rng(0)
    for _ in range(200):
        a, b = (np.round(rng.normal(size=rng.integers(1, 15)), 1) for _ in range(2))
        got = probability_of_improvement(a, b)
        want = stats.mannwhitneyu(a, b, method="asymptotic").statistic
        assert (got.U, got.estimate) == pytest.approx((want, want / (len(a) * len(b))))


def test_ties_count_half_and_identical_arms_give_a_half():
    assert probability_of_improvement([1, 2], [2, 3]).estimate == 1 / 8
    assert probability_of_improvement([3, 1, 2], [1, 2, 3]).estimate == 0.5


def test_swapping_the_arms_gives_the_rest():
    a, b = [1.0, 2.0, 2.0, 5.0, 7.0], [0.0, 2.0, 4.0, 4.0, 6.0]
    one, other = probability_of_improvement(a, b), probability_of_improvement(b, a)
    assert one.estimate == pytest.approx(1 - other.estimate)


def test_the_interval_resamples_the_runs_of_each_arm():
    rng = np.random.default_rng(3)
    a, b = rng.normal(0.7, 1, size=12), rng.normal(size=10)
    shares = [np.mean(rng.choice(a, 12)[:, None] > rng.choice(b, 10)) for _ in range(5000)]  # no ties here
    got = probability_of_improvement(a, b, 0.9, rng=1)
    assert (got.low, got.high) == pytest.approx(np.quantile(shares, [0.05, 0.95]), abs=0.02)
    assert got == probability_of_improvement(a[::-1], b, 0.9, rng=1)
    assert got.low != probability_of_improvement(a, b, 0.9, rng=2).low


@pytest.mark.parametrize(
    ("a", "rng", "said"),
    [
        (range(6), None, "no rng was passed"),
        (range(4), 0, "n = 4 is below 5"),
        (range(100, 106), 0, "every resample gives the same value"),
    ],
)
def test_no_interval_is_explained(a, rng, said):
    got = probability_of_improvement(a, range(3, 9), rng=rng)
    assert (got.low, got.high, got.resamples) == (-math.inf, math.inf, None)
    assert said in got.warnings[-1]
