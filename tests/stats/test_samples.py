"""Intervals of one sample: a mean, a trimmed mean, a standard deviation, a proportion."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fairtrial.stats import clopper_pearson, mean_interval, sd_interval, trimmed_interval

WIDE = st.lists(st.integers(-1000, 1000), min_size=3, max_size=12).filter(lambda x: len(set(x)) > 1)


def test_the_worked_mean():
    got = mean_interval([52.5, 55.8, 60.2, 54.1, 57.3])
    assert (got.estimate, got.sd, got.se) == pytest.approx((55.98, 2.967659, 1.3271775), abs=5e-5)
    assert (got.low, got.high) == pytest.approx((52.295165, 59.664835), abs=5e-5)
    assert (got.n, got.df, got.warnings) == (5, 4, ())


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


@given(WIDE, st.integers(-1000, 1000), st.integers(1, 1000))
@settings(max_examples=50, deadline=None)
def test_shift_and_scale_carry_through(x, shift, scale):
    plain, moved = mean_interval(x), mean_interval([shift + scale * value for value in x])
    want = [shift + scale * v for v in (plain.estimate, plain.low, plain.high)]
    assert [moved.estimate, moved.low, moved.high] == pytest.approx(want, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("x", [[1.0], [1.0, 2.0], [3.0, 3.0, 3.0]])
def test_no_interval_is_infinite_and_warned_about_and_never_nan(x):
    got = mean_interval(x)
    assert (got.low, got.high) == (-math.inf, math.inf)
    assert len(got.warnings) == 1
    assert not any(math.isnan(v) for v in (got.estimate, got.sd, got.se, got.df))


def test_one_value_leaves_the_spread_unknown():
    got = mean_interval([4.0])
    assert (got.estimate, got.sd, got.se, got.df) == (4, math.inf, math.inf, 0)


def test_runs_of_one_checkpoint_are_averaged_first():
    x = [1.0, 3.0, 10.0, 20.0, 5.0, 7.0]
    got = mean_interval(x, groups=["p", "p", "q", "q", "r", "r"])
    want = mean_interval([2.0, 15.0, 6.0])
    assert (got.n, got.low, got.high) == (3, want.low, want.high)
    assert got.method == "Student t of group means"


X = [0.3, -1.2, 0.8, 2.2, -0.4, 30.0, 0.1, 1.4, -0.9, 0.6]


@pytest.mark.parametrize("n", [5, 8, 10])
def test_it_is_the_test_of_yuen_in_scipy(n):
    """Against a second sample of hardly any variance, which leaves the test of one."""
    still = 0.1 + 1e-7 * np.array([-1.0, 1.0] * 5)
    want = stats.ttest_ind(X[:n], still, equal_var=False, trim=0.2)
    got = trimmed_interval(X[:n])
    assert (got.estimate - 0.1) / got.se == pytest.approx(want.statistic)
    assert got.df == pytest.approx(want.df)


def test_without_trimming_it_is_students():
    got, want = trimmed_interval(X, share=0.0), mean_interval(X)
    assert (got.low, got.high, got.df) == (pytest.approx(want.low), pytest.approx(want.high), want.df)


def test_one_wild_value_moves_nothing():
    tame, wild = [*X[:5], 3.0, *X[6:]], [*X[:5], 3e9, *X[6:]]
    assert trimmed_interval(wild) == trimmed_interval(tame)


@pytest.mark.parametrize(
    ("x", "said"), [([1.0, 2.0], "fewer than 3"), ([5.0] * 9, "zero"), ([1, 2, 2, 2, 9], "zero")]
)
def test_no_interval_where_there_is_nothing_to_go_by(x, said):
    got = trimmed_interval(x)
    assert said in got.warnings[0] and got.high == np.inf


def test_a_share_of_a_half_keeps_nothing():
    with pytest.raises(ValueError, match="share"):
        trimmed_interval(X, share=0.5)


@pytest.mark.parametrize(("n", "low", "high"), [(5, 0.60, 2.87), (3, 0.52, 6.29)])
def test_how_well_an_sd_is_known_at_small_n(n, low, high):
    found = sd_interval(dict(enumerate(np.random.default_rng(n).normal(size=n))))
    assert (found.low / found.estimate, found.high / found.estimate) == pytest.approx((low, high), abs=0.006)


def test_it_agrees_with_scipy_on_random_data():
    rng = np.random.default_rng(0)
    for _ in range(50):
        x, level = rng.normal(size=rng.integers(3, 30)), rng.uniform(0.5, 0.99)
        v, s = len(x) - 1, x.std(ddof=1)
        found = sd_interval(dict(enumerate(x)), level)
        limits = s * np.sqrt(v / stats.chi2.ppf([(1 + level) / 2, (1 - level) / 2], v))
        assert (found.low, found.high) == pytest.approx(limits, rel=1e-9)
        assert (found.estimate, found.n, found.df) == (pytest.approx(s), len(x), v)


def test_within_groups_the_spread_is_pooled():
    """Two groups of two: squares 2 and 8 about their means, v = 2."""
    found = sd_interval({0: 1.0, 1: 3.0, 2: 10.0, 3: 14.0}, groups={0: "a", 1: "a", 2: "b", 3: "b"})
    assert (found.estimate, found.df, found.n) == (pytest.approx(math.sqrt(5)), 2, 4)


@pytest.mark.parametrize("values", [{0: 1.0, 1: 2.0}, {0: 0.3, 1: 0.3, 2: 0.3}])
def test_too_few_values_and_no_spread_give_no_interval(values):
    found = sd_interval(values)
    assert (found.low, found.high) == (-math.inf, math.inf) and "no interval" in found.warnings[0]


def test_the_ends_of_a_proportion_are_exact():
    none, all_of_them = clopper_pearson(0, 12), clopper_pearson(12, 12)
    assert (none.low, all_of_them.high) == (0, 1)
    assert none.high == pytest.approx(1 - all_of_them.low)


def test_clopper_pearson_of_no_failures_by_hand():
    assert clopper_pearson(0, 10).high == pytest.approx(1 - 0.025**0.1)


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (0, 0), (2.5, 5)])
def test_counts_that_are_none_are_refused(k, n):
    with pytest.raises(ValueError, match=r"k|n"):
        clopper_pearson(k, n)
