"""Intervals of contrasts: paired and Welch differences, ratios, interactions; logits of fractions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit

from fairtrial.stats import (
    hedges_g,
    interaction_interval,
    mean_interval,
    paired_interval,
    ratio_interval,
    welch_interval,
)
from fairtrial.stats.contrasts import on_scale

WIDE = st.lists(st.integers(-1000, 1000), min_size=3, max_size=12).filter(lambda x: len(set(x)) > 1)


def test_the_worked_paired_difference(worked):
    got = paired_interval(*worked)
    assert (got.estimate, got.sd, got.se) == pytest.approx((0.813, 0.57283021, 0.18114482), abs=5e-5)
    assert (got.low, got.high) == pytest.approx((0.40322196, 1.222778), abs=5e-5)
    assert (got.t, got.p, got.r) == pytest.approx((4.4881218, 0.0015146067, 0.89279447), abs=5e-5)
    assert got.df == 9


def test_seed_order_does_not_matter_for_mappings(worked):
    a, b = worked
    assert paired_interval(a, dict(reversed(b.items()))) == paired_interval(a, b)


@given(WIDE)
@settings(max_examples=50, deadline=None)
def test_swapping_the_arms_negates(x):
    zero = [0.0] * len(x)
    one, other = paired_interval(x, zero), paired_interval(zero, x)
    assert (one.estimate, one.low, one.high, one.t) == (-other.estimate, -other.high, -other.low, -other.t)
    assert one.p == other.p


def test_identical_arms_estimate_exactly_zero_without_an_interval():
    x = [0.1, 0.7, 0.30000000000000004]
    got = paired_interval(x, x)
    assert (got.estimate, got.low, got.high, got.p, got.t) == (0, -math.inf, math.inf, 1, 0)
    assert got.warnings == ("no interval: zero observed variance",)


def test_a_difference_that_only_rounds_has_no_interval():
    got = paired_interval([0.1 + 0.2, 0.3, 0.5], [0.2, 0.2, 0.4])
    assert got.estimate == pytest.approx(0.1)
    assert math.isinf(got.low)
    assert got.p == 1


def test_r_is_none_when_an_arm_is_constant():
    assert paired_interval([1, 2, 4], [5, 5, 5]).r is None


def test_paired_groups_use_the_difference_of_group_means():
    a, b, labels = (
        {0: 1.0, 1: 2.0, 2: 5.0, 3: 9.0},
        dict.fromkeys(range(4), 0.0),
        {0: "p", 1: "p", 2: "q", 3: "r"},
    )
    got = paired_interval(a, b, groups=labels)
    assert (got.n, got.estimate) == (3, pytest.approx((1.5 + 5 + 9) / 3))


def test_a_nan_is_refused_and_never_dropped():
    with pytest.raises(ValueError, match=r"b is not finite at seeds \[2\]"):
        paired_interval({1: 0.0, 2: 0.0}, {1: 0.0, 2: math.nan})


@pytest.mark.parametrize("function", [lambda x: mean_interval(x, 1.0), lambda x: paired_interval(x, x, 0.0)])
def test_a_level_of_0_or_1_is_refused(function):
    with pytest.raises(ValueError, match="level"):
        function([1.0, 2.0, 3.0])


def cells(seed=0, n=8):
    return [np.random.default_rng([seed, i]).normal(i, 1 + i, size=n) for i in range(4)]


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


def test_without_the_second_factor_the_interaction_is_the_paired_difference():
    a, b = cells()[:2]
    zero = np.zeros_like(a)
    got, want = interaction_interval(a, b, zero, zero), paired_interval(a, b)
    assert (got.low, got.high, got.p) == pytest.approx((want.low, want.high, want.p))


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


def test_groups_make_one_contrast_of_each_label():
    groups = [0, 0, 1, 1, 2, 2]
    four = cells(n=6)
    means = [cell.reshape(3, 2).mean(axis=1) for cell in four]
    got, want = interaction_interval(*four, groups=groups), interaction_interval(*means)
    assert (got.n, got.estimate, got.low, got.high) == pytest.approx((3, want.estimate, want.low, want.high))
    assert got.method == "t on one contrast per group"


def test_groups_are_averaged_before_the_logit():
    fractions = [np.array([0.1, 0.5, 0.6, 0.7, 0.8, 0.95]) - 0.01 * i for i in range(4)]
    got = interaction_interval(*fractions, groups=[0, 0, 1, 1, 2, 2], scale="logit")
    a, b, c, d = (logit(each.reshape(3, 2).mean(axis=1)) for each in fractions)
    assert got.estimate == pytest.approx(np.mean(a - b - c + d))


def test_the_logit_scale_is_scipys():
    x = np.array([0.01, 0.5, 0.97, 0.999])
    values, warnings = on_scale(x, "logit", "x")
    assert values == pytest.approx(logit(x), abs=1e-12)
    assert warnings == ()


def test_a_fraction_of_one_needs_the_size_of_the_test_set():
    with pytest.raises(ValueError, match="pass n_test"):
        on_scale(np.array([0.9, 1.0]), "logit", "x")


def test_at_one_half_an_image_is_kept_on_each_side_and_the_order_stays():
    values, warnings = on_scale(np.array([0.98, 0.99, 1.0]), "logit", "x", n_test=100)
    assert values == pytest.approx(logit(np.array([98.5, 99.5, 100.5]) / 101))
    assert np.all(np.diff(values) > 0)
    assert "N = 100" in warnings[0]


@pytest.mark.parametrize("x", [[0.5, 1.2], [-0.1, 0.5], [86.1, 87.4]])
def test_percent_is_not_a_fraction(x):
    with pytest.raises(ValueError, match=r"fractions in \(0, 1\)"):
        on_scale(np.array(x), "logit", "x", n_test=10)


def test_an_unknown_scale_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown scale 'log'; known: identity, logit"):
        on_scale(np.array([0.5]), "log", "x")


def test_hedges_g_of_three_pairs_by_hand():
    """d = 2 and J(2) = Γ(1) / Γ(1/2) = 1/√π."""
    assert hedges_g([1.0, 2.0, 3.0]) == pytest.approx(2 / math.sqrt(math.pi))


@pytest.mark.parametrize("d", [[1.0, 2.0], [0.5, 0.5, 0.5]])
def test_without_a_spread_there_is_no_standardized_difference(d):
    with pytest.raises(ValueError, match="standardized"):
        hedges_g(d)
