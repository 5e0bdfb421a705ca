"""Limits of a median and of a proportion."""

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from fairtrial.stats import clopper_pearson, median_interval, wilson


def test_the_worked_median(worked):
    got = median_interval(worked[0])
    assert (got.estimate, got.low, got.high, got.ranks) == (pytest.approx(86.7), 85.2, 87.7, (2, 9))
    assert got.level == pytest.approx(0.97851562, abs=5e-5)
    assert got.asked == 0.95


@pytest.mark.parametrize(
    ("n", "level"), [(3, 0.75), (4, 0.875), (5, 0.9375), (6, 0.96875), (7, 0.984375), (8, 0.9921875)]
)
def test_min_to_max_covers_the_median_as_section_3_says(n, level):
    got = median_interval(range(n), level)
    assert (got.level, got.ranks, got.low, got.high) == (pytest.approx(level), (1, n), 0, n - 1)
    assert got.warnings == ()


@pytest.mark.parametrize("n", range(3, 11))
def test_the_exact_coverage_is_that_of_all_sign_patterns(n):
    got = median_interval(range(n), 0.8)
    r = got.ranks[0]
    below = np.array(
        [sum(signs) for signs in product((0, 1), repeat=n)]
    )  # how many values lie below the median
    assert got.level == pytest.approx(np.mean((below >= r) & (below <= n - r)))


@pytest.mark.parametrize("n", [6, 9, 20, 51])
def test_the_rank_is_the_largest_that_keeps_the_level(n):
    got = median_interval(range(n))
    r = got.ranks[0]
    assert 1 - 2 * stats.binom.cdf(r - 1, n, 0.5) == pytest.approx(got.level)
    assert got.level >= 0.95 > 1 - 2 * stats.binom.cdf(r, n, 0.5)


def test_five_runs_cannot_give_a_95_percent_interval():
    got = median_interval([3, 1, 2, 5, 4])
    assert (got.low, got.high, got.level) == (1, 5, pytest.approx(0.9375))
    assert got.warnings == ("95 % not attainable at n = 5: min..max covers 93.75 %",)


@pytest.mark.parametrize("x", [[1.0], [1.0, 2.0], [2.0] * 9])
def test_no_median_interval_is_infinite_with_a_warning(x):
    got = median_interval(x)
    assert (got.low, got.high, got.ranks) == (-math.inf, math.inf, None)
    assert got.warnings[0].startswith("no interval")


def test_ties_are_allowed():
    assert median_interval([1, 1, 1, 2, 2, 2]).low == 1


def test_wilson_and_clopper_pearson_agree_with_scipy():
    rng = np.random.default_rng(3)
    for _ in range(200):
        n = int(rng.integers(1, 500))
        k, level = int(rng.integers(0, n + 1)), float(rng.uniform(0.5, 0.999))
        test = stats.binomtest(k, n)
        for function, method in ((wilson, "wilson"), (clopper_pearson, "exact")):
            got, want = function(k, n, level), test.proportion_ci(level, method)
            assert (got.low, got.high) == pytest.approx((want.low, want.high), abs=1e-9)


@pytest.mark.parametrize("function", [wilson, clopper_pearson])
def test_the_ends_of_a_proportion_are_exact(function):
    none, all_of_them = function(0, 12), function(12, 12)
    assert (none.low, all_of_them.high) == (0, 1)
    assert 0 < none.high < 1
    assert none.high == pytest.approx(1 - all_of_them.low)


def test_clopper_pearson_of_no_failures_by_hand():
    assert clopper_pearson(0, 10).high == pytest.approx(1 - 0.025**0.1)


def test_the_binomial_standard_errors_of_section_10():
    for accuracy, se in ((0.5, 0.5), (0.8, 0.4), (0.9, 0.3), (0.95, 0.22), (0.99, 0.10)):
        assert 100 * wilson(round(accuracy * 10_000), 10_000).se == pytest.approx(se, abs=0.005)


@pytest.mark.parametrize("function", [wilson, clopper_pearson])
@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (0, 0), (2.5, 5)])
def test_counts_that_are_none_are_refused(function, k, n):
    with pytest.raises(ValueError, match=r"k|n"):
        function(k, n)


@pytest.mark.parametrize("p", [0.5, 0.9, 0.99])
def test_the_coverage_of_a_proportion_by_exact_binomial_sum(p):
    n, k = 1000, np.arange(1001)
    mass = stats.binom.pmf(k, n, p)
    covers = {
        f: sum(m for i, m in enumerate(mass) if m > 1e-12 and f(i, n).low <= p <= f(i, n).high)
        for f in (wilson, clopper_pearson)
    }
    assert covers[wilson] == pytest.approx(0.95, abs=0.015)  # the score limits waver most near the ends
    assert covers[clopper_pearson] >= 0.95
