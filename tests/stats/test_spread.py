"""The interval of a standard deviation against scipy's chi-squared law and the table of STATISTICS 3."""

import math

import numpy as np
import pytest
from scipy import stats

from fairtrial.stats import sd_interval


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
