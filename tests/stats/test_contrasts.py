"""Welch differences, ratios and interactions."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import logit

from fairtrial.stats import (
    interaction_interval,
    mean_interval,
    paired_interval,
    ratio_interval,
    welch_interval,
)


def cells(seed=0, n=8):
    return [np.random.default_rng([seed, i]).normal(i, 1 + i, size=n) for i in range(4)]


def test_welch_agrees_with_scipy(pairs_of_samples):
    for a, b in pairs_of_samples:
        b = b[: max(3, len(b) // 2)]
        got, want = welch_interval(a, b), stats.ttest_ind(a, b, equal_var=False)
        assert (got.t, got.p, got.df) == pytest.approx((want.statistic, want.pvalue, want.df), rel=1e-8)
        assert (got.low, got.high) == pytest.approx(tuple(want.confidence_interval()), rel=1e-8, abs=1e-12)
        assert (got.n_a, got.n_b, got.n) == (len(a), len(b), len(a) + len(b))


def test_one_constant_arm_is_fine_and_two_are_zero_variance():
    got = welch_interval([1, 1, 1], [1, 2, 4, 5])
    assert got.df == pytest.approx(3)
    assert math.isfinite(got.low)
    both = welch_interval([2, 2, 2], [1, 1, 1])
    assert (both.estimate, both.low, both.p) == (1, -math.inf, 1)
    assert both.warnings == ("no interval: zero observed variance",)


@pytest.mark.parametrize("b", [[1.0], [1.0, 2.0]])
def test_welch_needs_three_values_per_arm(b):
    got = welch_interval([1, 2, 4], b)
    assert (got.low, got.high, got.p) == (-math.inf, math.inf, 1)
    assert got.warnings == ("no interval: fewer than 3 replication units",)


def test_welch_survives_spreads_whose_squares_vanish():
    got = welch_interval([0, 1e-180, 3e-180], [0, 1e-180, 2e-180])
    assert not math.isnan(got.low)


def test_swapping_the_arms_negates_welch():
    a, b = cells()[:2]
    one, other = welch_interval(a, b), welch_interval(b, a)
    assert (one.low, one.high, one.p) == pytest.approx((-other.high, -other.low, other.p), rel=1e-12)


def test_a_paired_ratio_is_t_on_the_logs(pairs_of_samples):
    for a, b in pairs_of_samples[:50]:
        a, b = np.exp(a / a.std()), np.exp(b / b.std())
        got, want = ratio_interval(a, b), stats.ttest_rel(np.log(a), np.log(b))
        limits = np.exp(tuple(want.confidence_interval()))
        assert (got.low, got.high, got.p) == pytest.approx((*limits, want.pvalue), rel=1e-8)
        assert got.estimate == pytest.approx(stats.gmean(a) / stats.gmean(b))


def test_an_unpaired_ratio_is_welch_on_the_logs():
    a, b = np.exp(cells()[0]), np.exp(cells()[1][:5])
    got, want = ratio_interval(a, b, paired=False), welch_interval(np.log(a), np.log(b))
    assert (got.low, got.high, got.p) == pytest.approx((math.exp(want.low), math.exp(want.high), want.p))


def test_swapping_the_arms_inverts_a_ratio():
    a, b = np.exp(cells()[0]), np.exp(cells()[1])
    one, other = ratio_interval(a, b), ratio_interval(b, a)
    assert (one.estimate, one.low, one.high) == pytest.approx(
        (1 / other.estimate, 1 / other.high, 1 / other.low)
    )


def test_the_log_sd_of_a_ratio_by_hand():
    got = ratio_interval(np.exp([1.0, 2.0, 3.0]), [1.0, 1.0, 1.0])
    assert got.log_sd == pytest.approx(1)
    assert got.estimate == pytest.approx(math.exp(2))


def test_equal_rates_have_ratio_one_and_no_interval():
    got = ratio_interval([0.1, 0.2, 0.3], [0.1, 0.2, 0.3])
    assert (got.estimate, got.low, got.high, got.p) == (1, -math.inf, math.inf, 1)


def test_a_constant_ratio_that_only_rounds_has_no_interval():
    b = np.array([1.0000001, 0.9999999, 1.0000003, 0.9999998])
    assert math.isinf(ratio_interval(1.0000002 * b, b).low)


@pytest.mark.parametrize("bad", [0.0, -1.0])
def test_a_rate_that_is_not_positive_is_refused(bad):
    with pytest.raises(ValueError, match="b holds positive rates"):
        ratio_interval([1, 2, 3], [1, bad, 3])


def test_a_paired_interaction_is_t_on_one_contrast_per_seed():
    a_s, b_s, a_l, b_l = cells()
    got, want = interaction_interval(a_s, b_s, a_l, b_l), mean_interval((a_s - b_s) - (a_l - b_l))
    assert (got.estimate, got.low, got.high) == pytest.approx((want.estimate, want.low, want.high))
    assert (got.se, got.df, got.sd) == pytest.approx((want.se, want.df, want.sd))


def test_an_unpaired_interaction_by_the_formula_of_section_13():
    sizes = (4, 6, 9, 5)
    groups = [cell[:n] for cell, n in zip(cells(n=9), sizes, strict=True)]
    parts = [stats.tvar(group) / len(group) for group in groups]
    df = sum(parts) ** 2 / sum(part**2 / (n - 1) for part, n in zip(parts, sizes, strict=True))
    got = interaction_interval(*groups, paired=False)
    half = stats.t.ppf(0.975, df) * math.sqrt(sum(parts))
    assert (got.df, got.se, got.high - got.low) == pytest.approx((df, math.sqrt(sum(parts)), 2 * half))
    assert got.sd is None


def test_without_the_second_factor_the_interaction_is_the_paired_difference():
    a, b = cells()[:2]
    zero = np.zeros_like(a)
    got, want = interaction_interval(a, b, zero, zero), paired_interval(a, b)
    assert (got.low, got.high, got.p) == pytest.approx((want.low, want.high, want.p))


def test_weights_of_one_and_minus_one_are_the_four_cell_contrast():
    a_s, b_s, a_l, b_l = cells()
    for paired in (True, False):
        four = interaction_interval(a_s, b_s, a_l, b_l, paired=paired)
        weighted = interaction_interval([a_s, a_l], [b_s, b_l], weights=(1, -1), paired=paired)
        assert (weighted.low, weighted.high, weighted.df) == pytest.approx((four.low, four.high, four.df))


def test_more_levels_form_one_weighted_contrast_per_seed():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(3, 6)), rng.normal(size=(3, 6))
    weights = np.log2([4, 16, 64]) - np.log2([4, 16, 64]).mean()
    got, want = interaction_interval(list(a), list(b), weights=weights), mean_interval(weights @ (a - b))
    assert (got.estimate, got.low, got.high) == pytest.approx((want.estimate, want.low, want.high))


def test_an_interaction_on_the_logit_scale_is_not_transformed_back():
    a_s, b_s, a_l, b_l = (np.random.default_rng([7, i]).uniform(0.8, 0.99, size=6) for i in range(4))
    got = interaction_interval(a_s, b_s, a_l, b_l, scale="logit")
    want = mean_interval(logit(a_s) - logit(b_s) - logit(a_l) + logit(b_l))
    assert (got.estimate, got.low, got.high) == pytest.approx((want.estimate, want.low, want.high))
    assert "logit scale" in got.method


def test_interaction_cells_are_joined_on_their_seeds():
    a, b, c, d = ({s: float(v) for s, v in enumerate(cell)} for cell in cells())
    shuffled = dict(reversed(d.items()))
    assert interaction_interval(a, b, c, shuffled) == interaction_interval(a, b, c, d)
    del d[3]
    with pytest.raises(ValueError, match=r"a_small and b_large differ in seeds: only in a_small \[3\]"):
        interaction_interval(a, b, c, d)


@pytest.mark.parametrize(
    ("arguments", "weights", "said"),
    [
        (([1, 2, 3], [1, 2, 4]), None, "four cells are needed"),
        (([[1, 2, 3]] * 2, [[1, 2, 4]] * 2), (1, 1), "weights sum to 0"),
        (([[1, 2, 3]] * 2, [[1, 2, 4]] * 2), (0, 0), "weights sum to 0"),
        (([[1, 2, 3]] * 2, [[1, 2, 4]]), (1, -1), "one weight and two cells per level"),
        (([[1, 2, 3]] * 2, [[1, 2, 4]] * 2, [1, 2, 3]), (1, -1), "no others"),
    ],
)
def test_cells_and_weights_that_do_not_fit_are_refused(arguments, weights, said):
    with pytest.raises(ValueError, match=said):
        interaction_interval(*arguments, weights=weights)


def test_groups_make_one_contrast_of_each_label():
    groups = [0, 0, 1, 1, 2, 2]
    four = cells(n=6)
    means = [cell.reshape(3, 2).mean(axis=1) for cell in four]
    got, want = interaction_interval(*four, groups=groups), interaction_interval(*means)
    assert (got.n, got.estimate, got.low, got.high) == pytest.approx((3, want.estimate, want.low, want.high))
    assert got.method == "t on one contrast per group"
    with pytest.raises(ValueError, match="groups are labels of paired seeds"):
        interaction_interval(*four, groups=groups, paired=False)


def test_groups_are_averaged_before_the_logit():
    fractions = [np.array([0.1, 0.5, 0.6, 0.7, 0.8, 0.95]) - 0.01 * i for i in range(4)]
    got = interaction_interval(*fractions, groups=[0, 0, 1, 1, 2, 2], scale="logit")
    a, b, c, d = (logit(each.reshape(3, 2).mean(axis=1)) for each in fractions)
    assert got.estimate == pytest.approx(np.mean(a - b - c + d))
