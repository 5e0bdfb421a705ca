"""Standardized differences."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import gamma

from fairtrial.stats import hedges_g


def by_hand(d, df):
    return d * gamma(df / 2) / (math.sqrt(df / 2) * gamma((df - 1) / 2))


def test_g_is_d_with_the_exact_correction(pairs_of_samples):
    for a, b in pairs_of_samples:
        b = b[: max(3, len(b) // 2)]
        df = len(a) + len(b) - 2
        pooled = math.sqrt(((len(a) - 1) * np.var(a, ddof=1) + (len(b) - 1) * np.var(b, ddof=1)) / df)
        got = hedges_g(a, b)
        assert got.d == pytest.approx((np.mean(a) - np.mean(b)) / pooled)
        assert got.estimate == pytest.approx(by_hand(got.d, df))


def test_the_paired_effect_is_in_sd_of_the_differences(worked):
    got = hedges_g(*worked, paired=True)
    assert got.d == pytest.approx(0.813 / 0.57283021)
    assert got.estimate == pytest.approx(by_hand(got.d, 9))


def test_each_limit_is_an_effect_under_which_the_observed_t_is_a_tail(pairs_of_samples):
    for a, b in pairs_of_samples[:40]:
        root = math.sqrt(len(a) / 2)
        got = hedges_g(a, b, 0.9)
        above = stats.nct.sf(got.d * root, got.df, got.low * root)
        below = stats.nct.cdf(got.d * root, got.df, got.high * root)
        assert (above, below) == pytest.approx((0.05, 0.05), abs=1e-7)


def test_swapping_the_arms_negates_the_effect():
    a, b = [1.0, 2.5, 3.0, 4.0], [0.5, 1.0, 2.2, 0.1]
    one, other = hedges_g(a, b), hedges_g(b, a)
    assert (one.estimate, one.low, one.high) == pytest.approx((-other.estimate, -other.high, -other.low))


def test_shift_and_scale_do_not_change_the_effect():
    a, b = np.array([1.0, 2.5, 3.0, 4.0]), np.array([0.5, 1.0, 2.2, 0.1])
    one, other = hedges_g(a, b), hedges_g(7 * a + 3, 7 * b + 3)
    assert (one.estimate, one.low, one.high) == pytest.approx((other.estimate, other.low, other.high))


def test_a_huge_effect_still_has_limits():
    got = hedges_g([100.0, 100.1, 100.2], [0.0, 0.1, 0.2])
    assert 0 < got.low < got.d < got.high < math.inf


def test_too_few_values_have_no_interval():
    got = hedges_g([1.0, 2.0], [3.0, 5.0])
    assert (got.low, got.high) == (-math.inf, math.inf)
    assert got.warnings


@pytest.mark.parametrize(
    ("a", "b", "paired", "said"),
    [
        ([1, 1, 1], [2, 2, 2], False, "zero variance"),
        ([1, 2, 3], [2, 3, 4], True, "zero variance"),
        ([1], [2, 3], False, "needs 4 values"),
        ([1, 2], [2, 5], True, "needs 3 pairs"),
    ],
)
def test_what_has_no_spread_has_no_effect_size(a, b, paired, said):
    with pytest.raises(ValueError, match=said):
        hedges_g(a, b, paired=paired)


def test_groups_are_averaged_first():
    a, groups = [1.0, 3.0, 2.0, 4.0, 5.0, 9.0], ["p", "p", "q", "q", "r", "r"]
    got = hedges_g(a, [0.0] * 6, paired=True, groups=groups)
    assert (got.n, got.df) == (3, 2)
    assert got.d == pytest.approx(4 / math.sqrt(7))  # of 2, 3 and 7
    with pytest.raises(ValueError, match="groups are labels of pairs"):
        hedges_g(a, [0.0] * 6, groups=groups)
