"""Bands for learning curves."""

import math

import numpy as np
import pytest
from scipy import stats

from fairtrial.stats import simultaneous_band


def curves(seeds, checkpoints, draw, shared=1.0):
    rng = np.random.default_rng(draw)
    start = shared * rng.normal(size=(seeds, 1))
    return start + rng.normal(size=(seeds, checkpoints)).cumsum(axis=1) / math.sqrt(checkpoints)


def test_bonferroni_and_pointwise_by_the_formula_of_section_3():
    x = curves(6, 4, 0)
    got = simultaneous_band(x, 0.9)
    se = x.std(axis=0, ddof=1) / math.sqrt(6)
    assert got.high - got.estimate == pytest.approx(stats.t.ppf(1 - 0.1 / 8, 5) * se)
    assert got.estimate - got.pointwise_low == pytest.approx(stats.t.ppf(0.95, 5) * se)


def test_the_area_is_the_trapezoid_rule_of_each_seed():
    got = simultaneous_band([[0, 1, 3], [1, 1, 1], [2, 0, 0]], at=[0, 10, 20])
    assert got.auc == pytest.approx([5 + 20, 20, 10])
    assert simultaneous_band([[0, 1, 3], [1, 1, 1], [2, 0, 0]]).auc == pytest.approx([2.5, 2, 1])


def test_sup_t_uses_that_curves_are_correlated():
    x = curves(30, 20, 1, shared=3)
    wide, narrow = simultaneous_band(x), simultaneous_band(x, method="sup-t", rng=0)
    assert np.all(narrow.high < wide.high)
    assert np.all(narrow.high > narrow.pointwise_high)


def test_sup_t_on_one_checkpoint_is_the_studentized_bootstrap():
    x = np.random.default_rng(2).normal(size=(40, 1))
    rows = np.random.default_rng(3).choice(x[:, 0], size=(20_000, 40))
    t = np.abs(rows.mean(axis=1) - x.mean()) * math.sqrt(40) / rows.std(axis=1, ddof=1)
    got = simultaneous_band(x, method="sup-t", rng=0)
    half = np.quantile(t, 0.95) * x.std(ddof=1) / math.sqrt(40)
    assert got.high[0] - got.estimate[0] == pytest.approx(half, rel=0.04)


def test_sup_t_needs_ten_curves_and_a_generator():
    with pytest.raises(ValueError, match="at least 10 curves; got 9"):
        simultaneous_band(curves(9, 3, 0), method="sup-t", rng=0)
    with pytest.raises(ValueError, match="pass rng"):
        simultaneous_band(curves(12, 3, 0), method="sup-t")
    x = curves(12, 3, 0)
    one, two = (simultaneous_band(x, method="sup-t", rng=seed) for seed in (1, 2))
    assert one.high.tolist() != two.high.tolist()
    assert simultaneous_band(x[::-1], method="sup-t", rng=1).high == pytest.approx(one.high, rel=1e-12)


def test_a_checkpoint_without_variance_warns_and_has_no_limits():
    x = curves(5, 3, 0)
    x[:, 0] = 0.1
    got = simultaneous_band(x)
    assert (got.low[0], got.pointwise_high[0]) == (-math.inf, math.inf)
    assert np.isfinite(got.low[1:]).all()
    assert got.warnings == ("no interval at checkpoints [0]: zero observed variance",)


def test_one_odd_curve_among_equal_ones_has_no_sup_t_band():
    x = curves(12, 3, 0)
    x[:, 1] = [0.5, *[1.0] * 11]  # a third of the resamples leave the odd curve out
    got = simultaneous_band(x, method="sup-t", rng=0)
    assert np.isinf(got.high).all()
    assert np.isfinite(got.pointwise_high).all()
    assert got.warnings == ("no interval: too many resamples have a checkpoint without variance",)


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_curves_have_no_band(seeds):
    got = simultaneous_band(curves(seeds, 3, 0))
    assert np.isinf(got.low).all()
    assert np.isinf(got.pointwise_high).all()
    assert got.warnings


@pytest.mark.parametrize(
    ("bad", "keywords", "said"),
    [
        ([[1, 2], [1, 2, 3]], {}, r"one value per checkpoint; got lengths \[2, 3\]"),
        ([], {}, "curves is empty"),
        ([[]], {}, "curves is empty"),
        ({7: [1.0, 2.0], 9: [1.0, math.nan]}, {}, r"not finite at seeds \[9\]"),
        ([[1, 2]] * 3, {"method": "max"}, "unknown method 'max'"),
        ([[1, 2]] * 3, {"at": [1, 1]}, "at rises"),
        ([[1, 2]] * 3, {"at": [1, 2, 3]}, "at rises"),
    ],
)
def test_curves_that_do_not_fit_are_refused(bad, keywords, said):
    with pytest.raises(ValueError, match=said):
        simultaneous_band(bad, **keywords)
