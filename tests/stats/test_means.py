"""Intervals of a mean and of a paired difference."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit, logit

from fairtrial.stats import mean_interval, paired_interval

WIDE = st.lists(st.integers(-1000, 1000), min_size=3, max_size=12).filter(lambda x: len(set(x)) > 1)


def test_the_worked_mean():
    got = mean_interval([52.5, 55.8, 60.2, 54.1, 57.3])
    assert (got.estimate, got.sd, got.se) == pytest.approx((55.98, 2.967659, 1.3271775), abs=5e-5)
    assert (got.low, got.high) == pytest.approx((52.295165, 59.664835), abs=5e-5)
    assert (got.n, got.df, got.warnings) == (5, 4, ())


def test_the_worked_paired_difference(worked):
    got = paired_interval(*worked)
    assert (got.estimate, got.sd, got.se) == pytest.approx((0.813, 0.57283021, 0.18114482), abs=5e-5)
    assert (got.low, got.high) == pytest.approx((0.40322196, 1.222778), abs=5e-5)
    assert (got.t, got.p, got.r) == pytest.approx((4.4881218, 0.0015146067, 0.89279447), abs=5e-5)
    assert got.df == 9


def test_the_mean_agrees_with_scipy(pairs_of_samples):
    for x, _ in pairs_of_samples:
        got = mean_interval(x, 0.9)
        want = stats.t.interval(0.9, len(x) - 1, loc=np.mean(x), scale=stats.sem(x))
        assert (got.low, got.high) == pytest.approx(want, rel=1e-9)


def test_the_paired_difference_agrees_with_scipy(pairs_of_samples):
    for a, b in pairs_of_samples:
        got, want = paired_interval(a, b, 0.99), stats.ttest_rel(a, b)
        assert (got.t, got.p) == pytest.approx((want.statistic, want.pvalue), rel=1e-8)
        assert (got.low, got.high) == pytest.approx(
            tuple(want.confidence_interval(0.99)), rel=1e-8, abs=1e-12
        )
        assert got.r == pytest.approx(stats.pearsonr(a, b).statistic, abs=1e-10)


@pytest.mark.parametrize(
    ("n", "half_width"),
    [
        (3, 2.4841),
        (4, 1.5912),
        (5, 1.2417),
        (6, 1.0494),
        (8, 0.8360),
        (10, 0.7154),
        (15, 0.5538),
        (20, 0.4680),
    ],
)
def test_the_half_widths_of_section_8(n, half_width):
    got = mean_interval(np.arange(n))
    assert (got.high - got.low) / 2 / got.sd == pytest.approx(half_width, abs=5e-5)


def test_seed_order_does_not_matter_for_mappings(worked):
    a, b = worked
    assert paired_interval(a, dict(reversed(b.items()))) == paired_interval(a, b)


@given(WIDE, st.integers(-1000, 1000), st.integers(1, 1000))
@settings(max_examples=50, deadline=None)
def test_shift_and_scale_carry_through(x, shift, scale):
    plain, moved = mean_interval(x), mean_interval([shift + scale * value for value in x])
    want = [shift + scale * v for v in (plain.estimate, plain.low, plain.high)]
    assert [moved.estimate, moved.low, moved.high] == pytest.approx(want, rel=1e-9, abs=1e-6)


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


@pytest.mark.parametrize("x", [[1.0], [1.0, 2.0], [3.0, 3.0, 3.0]])
def test_no_interval_is_infinite_and_warned_about_and_never_nan(x):
    got = mean_interval(x)
    assert (got.low, got.high) == (-math.inf, math.inf)
    assert len(got.warnings) == 1
    assert not any(math.isnan(v) for v in (got.estimate, got.sd, got.se, got.df))


def test_one_value_leaves_the_spread_unknown():
    got = mean_interval([4.0])
    assert (got.estimate, got.sd, got.se, got.df) == (4, math.inf, math.inf, 0)


def test_r_is_none_when_an_arm_is_constant():
    assert paired_interval([1, 2, 4], [5, 5, 5]).r is None


def test_runs_of_one_checkpoint_are_averaged_first():
    x = [1.0, 3.0, 10.0, 20.0, 5.0, 7.0]
    got = mean_interval(x, groups=["p", "p", "q", "q", "r", "r"])
    want = mean_interval([2.0, 15.0, 6.0])
    assert (got.n, got.low, got.high) == (3, want.low, want.high)
    assert got.method == "Student t of group means"


def test_paired_groups_use_the_difference_of_group_means():
    a, b, labels = (
        {0: 1.0, 1: 2.0, 2: 5.0, 3: 9.0},
        dict.fromkeys(range(4), 0.0),
        {0: "p", 1: "p", 2: "q", 3: "r"},
    )
    got = paired_interval(a, b, groups=labels)
    assert (got.n, got.estimate) == (3, pytest.approx((1.5 + 5 + 9) / 3))


def test_the_logit_interval_is_t_on_the_logits_and_stays_below_one():
    x = np.array([0.985, 0.991, 0.978, 0.996, 0.989])
    got, on_logits = mean_interval(x, scale="logit"), mean_interval(logit(x))
    assert (got.estimate, got.low, got.high) == pytest.approx(
        (expit(on_logits.estimate), expit(on_logits.low), expit(on_logits.high))
    )
    assert got.high < 1
    assert "logits" in got.method
    assert got.sd == pytest.approx(on_logits.sd)


def test_the_logit_interval_of_equal_halves_is_no_interval():
    got = mean_interval([0.5, 0.5, 0.5], scale="logit")
    assert (got.estimate, got.low, got.high) == (0.5, -math.inf, math.inf)


def test_a_perfect_run_is_warned_about_on_the_logit_scale():
    got = mean_interval([0.98, 0.99, 1.0], scale="logit", n_test=1000)
    assert "touches 0 or 1" in got.warnings[0]
    assert got.low < got.estimate < got.high < 1


def test_a_nan_is_refused_and_never_dropped():
    with pytest.raises(ValueError, match=r"b is not finite at seeds \[2\]"):
        paired_interval({1: 0.0, 2: 0.0}, {1: 0.0, 2: math.nan})


@pytest.mark.parametrize("function", [lambda x: mean_interval(x, 1.0), lambda x: paired_interval(x, x, 0.0)])
def test_a_level_of_0_or_1_is_refused(function):
    with pytest.raises(ValueError, match="level"):
        function([1.0, 2.0, 3.0])
