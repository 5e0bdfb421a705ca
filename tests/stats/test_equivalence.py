"""Two one-sided tests."""

import math

import numpy as np
import pytest
from statsmodels.stats.weightstats import ttost_paired

from fairtrial.stats import paired_interval, tost


def test_the_worked_equivalence(worked):
    got = tost(*worked, margin=1.0)
    assert (got.t_lower, got.t_upper) == pytest.approx((10.008567, -1.0323232), abs=5e-5)
    assert (got.p_lower, got.p_upper) == pytest.approx((1.776411e-06, 0.16443137), rel=1e-6)
    assert got.p == got.p_upper
    assert (got.low, got.high, got.level) == pytest.approx((0.48094109, 1.1450589, 0.9), abs=5e-5)
    assert not got.equivalent


def test_it_agrees_with_statsmodels(pairs_of_samples):
    for a, b in pairs_of_samples:
        low, high = -0.8 * np.std(a), 1.4 * np.std(a)
        got = tost(a, b, margin=(low, high))
        p, lower, upper = ttost_paired(a, b, low, high)
        assert (got.p, got.t_lower, got.t_upper) == pytest.approx((p, lower[0], upper[0]), rel=1e-8)
        assert got.equivalent == (p < 0.05)


def test_differences_alone_are_enough(worked):
    a, b = worked
    d = {seed: a[seed] - b[seed] for seed in a}
    one, other = tost(d, margin=1.5), tost(a, b, margin=1.5)
    assert (one.p, one.equivalent) == (pytest.approx(other.p), True)


def test_the_interval_is_the_paired_one_at_one_minus_twice_alpha(worked):
    got, want = tost(*worked, margin=1.0, alpha=0.05 / 3), paired_interval(*worked, level=1 - 0.1 / 3)
    assert (got.low, got.high) == pytest.approx((want.low, want.high))


def test_a_limit_on_the_margin_does_not_count():
    d = [-1.0, 0.0, 1.0, 0.5]
    edge = tost(d, margin=1.0)
    at_the_edge = tost(d, margin=(-5.0, edge.high))
    assert not at_the_edge.equivalent
    assert tost(d, margin=(-5.0, edge.high + 1e-9)).equivalent


@pytest.mark.parametrize("d", [[0.1], [0.1, 0.2], [0.0, 0.0, 0.0], [0.3, 0.3, 0.3]])
def test_without_an_interval_nothing_is_equivalent(d):
    got = tost(d, margin=100)
    assert (got.equivalent, got.p, got.low) == (False, 1, -math.inf)
    assert got.warnings[0].startswith("no interval")


@pytest.mark.parametrize("margin", [0, -1, (1, 2), (-2, -1), (0.97, 1.03), math.inf, math.nan])
def test_a_margin_that_does_not_surround_0_is_refused(margin):
    with pytest.raises(ValueError, match="margin"):
        tost([1, 2, 3], margin=margin)


def test_alpha_of_a_half_or_more_is_refused():
    with pytest.raises(ValueError, match=r"alpha lies strictly between 0 and 0\.5"):
        tost([1, 2, 3], margin=1, alpha=0.5)


def test_swapping_the_arms_mirrors_the_tests(worked):
    a, b = worked
    one, other = tost(a, b, margin=(-0.5, 2)), tost(b, a, margin=(-2, 0.5))
    assert (one.t_lower, one.t_upper) == pytest.approx((-other.t_upper, -other.t_lower))
    assert one.p == pytest.approx(other.p)


@pytest.mark.parametrize(
    ("margin", "n", "power"),
    [(1, 5, 0.29), (1, 8, 0.63), (1, 10, 0.80), (1, 15, 0.96), (1.5, 5, 0.73), (2, 5, 0.95)],
)
def test_the_power_at_no_difference_is_that_of_section_7(margin, n, power):
    d = np.random.default_rng([n, int(10 * margin)]).normal(size=(2000, n))
    share = np.mean([tost(row, margin=margin).equivalent for row in d])
    assert share == pytest.approx(power, abs=0.04)  # three Monte Carlo errors and the rounding of the table
