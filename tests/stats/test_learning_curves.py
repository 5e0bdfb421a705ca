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


def test_a_checkpoint_without_variance_warns_and_has_no_limits():
    x = curves(5, 3, 0)
    x[:, 0] = 0.1
    got = simultaneous_band(x)
    assert (got.low[0], got.pointwise_high[0]) == (-math.inf, math.inf)
    assert np.isfinite(got.low[1:]).all()
    assert got.warnings == ("no interval at checkpoints [0]: zero observed variance",)


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_curves_have_no_band(seeds):
    got = simultaneous_band(curves(seeds, 3, 0))
    assert np.isinf(got.low).all()
    assert np.isinf(got.pointwise_high).all()
    assert got.warnings


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ([[1, 2], [1, 2, 3]], r"one value per checkpoint; got lengths \[2, 3\]"),
        ([], "curves is empty"),
        ([[]], "curves is empty"),
        ([[1.0, 2.0], [1.0, math.nan]], r"not finite at seeds \[1\]"),
    ],
)
def test_curves_that_do_not_fit_are_refused(bad, said):
    with pytest.raises(ValueError, match=said):
        simultaneous_band(bad)
