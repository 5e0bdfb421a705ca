"""Student's interval against scipy's, though it takes no scipy; what a status shows is the same."""

import numpy as np
import pytest
from scipy import stats

from fairtrial.execution.display.watch import Arm
from fairtrial.stats import mean_interval
from fairtrial.stats.student import fit_mean, t_quantile


@pytest.mark.parametrize("n", [3, 4, 10, 100, 5000])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.999])
def test_limits_and_p_of_a_mean_are_scipys(n, level):
    values = np.random.default_rng(n).normal(0.1, 0.1, n)
    fit = fit_mean(values, level)
    there = stats.ttest_1samp(values, 0.0)
    assert (fit.t, fit.p) == pytest.approx((there.statistic, there.pvalue), rel=1e-11)
    assert (fit.low, fit.high) == pytest.approx(tuple(there.confidence_interval(level)), rel=1e-11)
    assert (fit.estimate, fit.sd) == pytest.approx((values.mean(), values.std(ddof=1)), rel=1e-14)


@pytest.mark.parametrize("df", [0.5, 1, 2.7, 9, 1998])
@pytest.mark.parametrize("p", [0.001, 0.3, 0.5, 0.8, 0.975, 0.9999])
def test_quantiles_on_both_sides_are_scipys(p, df):
    assert t_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-10, abs=1e-14)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_squares_neither_vanish_nor_overflow(size):
    plain, fit = fit_mean([1.0, 2.0, 4.0], 0.95), fit_mean([size, 2 * size, 4 * size], 0.95)
    assert (fit.low / size, fit.high / size) == pytest.approx((plain.low, plain.high), rel=1e-12)


@pytest.mark.parametrize("values", [[0.5], [0.1, 0.2], [0.3] * 7, [0.1 + 0.2, 0.3, 0.3], [0.0] * 3])
def test_few_values_or_no_variance_give_no_interval(values):
    fit = fit_mean(values, 0.95)
    assert fit.warnings
    assert (fit.low, fit.high, fit.t, fit.p) == (-np.inf, np.inf, 0, 1)
    assert arm(values).interval is None


def test_a_status_shows_the_interval_of_the_mean():
    values = (0.3, 0.5, 0.4, 0.6)
    there = mean_interval(values, 0.95)
    assert arm(values).interval == (there.low, there.high)
    assert arm(()).interval is None


def arm(scores):
    return Arm("bn", "", len(scores), tuple(scores))
