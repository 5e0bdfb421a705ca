"""Student's interval: what a status computes without scipy is the one of every other place."""

import numpy as np
import pytest

from fairtrial.stats import mean_interval
from fairtrial.stats.student import mean_limits


@pytest.mark.parametrize("n", [3, 4, 10, 100, 5000])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_limits_are_those_of_the_interval_of_a_mean(n, level):
    values = np.random.default_rng(n).normal(0.5, 0.1, n)
    there = mean_interval(values, level)
    assert mean_limits([*values], level) == pytest.approx((there.low, there.high), rel=1e-12)


@pytest.mark.parametrize("values", [[0.1, 0.2], [0.3] * 7, [0.1 + 0.2, 0.3, 0.3], [0.0] * 3])
def test_there_are_none_where_that_has_none(values):
    assert mean_interval(values).warnings
    assert mean_limits(values) is None


def test_there_are_none_of_nothing():
    assert mean_limits([]) is None
