"""The interval of a trimmed mean."""

import numpy as np
import pytest
from scipy.stats import ttest_ind

from fairtrial.stats import mean_interval
from fairtrial.stats.trimmed import trimmed_interval

X = [0.3, -1.2, 0.8, 2.2, -0.4, 30.0, 0.1, 1.4, -0.9, 0.6]


@pytest.mark.parametrize("n", [5, 8, 10])
def test_it_is_the_test_of_yuen_in_scipy(n):
    """Against a second sample of hardly any variance, which leaves the test of one."""
    still = 0.1 + 1e-7 * np.array([-1.0, 1.0] * 5)
    want = ttest_ind(X[:n], still, equal_var=False, trim=0.2)
    got = trimmed_interval(X[:n])
    assert (got.estimate - 0.1) / got.se == pytest.approx(want.statistic)
    assert got.df == pytest.approx(want.df)


def test_without_trimming_it_is_students():
    got, want = trimmed_interval(X, share=0.0), mean_interval(X)
    assert (got.low, got.high, got.df) == (pytest.approx(want.low), pytest.approx(want.high), want.df)


def test_one_wild_value_moves_nothing():
    tame, wild = [*X[:5], 3.0, *X[6:]], [*X[:5], 3e9, *X[6:]]
    assert trimmed_interval(wild) == trimmed_interval(tame)


@pytest.mark.parametrize("n", [8, 12, 16, 24])
def test_it_covers_at_the_sizes_of_the_gate(n):
    rng = np.random.default_rng(n)
    draws = 4000
    found = [trimmed_interval(row) for row in rng.standard_normal((draws, n))]
    hits = sum(one.low <= 0 <= one.high for one in found)
    assert 0.935 <= hits / draws <= 0.96  # the method itself is a little off at small n


@pytest.mark.parametrize(
    ("x", "said"), [([1.0, 2.0], "fewer than 3"), ([5.0] * 9, "zero"), ([1, 2, 2, 2, 9], "zero")]
)
def test_no_interval_where_there_is_nothing_to_go_by(x, said):
    got = trimmed_interval(x)
    assert said in got.warnings[0] and got.high == np.inf


def test_a_share_of_a_half_keeps_nothing():
    with pytest.raises(ValueError, match="share"):
        trimmed_interval(X, share=0.5)
