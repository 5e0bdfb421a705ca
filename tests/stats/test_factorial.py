"""Blocked ANOVA against statsmodels."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from fairtrial.stats import blocked_anova


def test_blocked_anova_agrees_with_statsmodels():
    cells = list(product("xy", "pqr"))
    y = np.random.default_rng(1).normal(size=(6, 6)) + np.arange(6)
    rows = [(s, *cell, y[s, c]) for s in range(6) for c, cell in enumerate(cells)]
    frame = pd.DataFrame(rows, columns=["seed", "A", "B", "y"])
    want = anova_lm(ols("y ~ C(seed) + C(A) * C(B)", frame).fit())
    got = blocked_anova(y, cells)
    for effect, name in zip(got.effects, ["C(A)", "C(B)", "C(A):C(B)"], strict=True):
        assert (effect.F, effect.df, effect.p) == pytest.approx(tuple(want.loc[name, ["F", "df", "PR(>F)"]]))
    assert (got.ms_res, got.df_res) == pytest.approx(tuple(want.loc["Residual", ["mean_sq", "df"]]))
    assert sum(effect.share for effect in got.effects) == pytest.approx(1)


def test_anything_but_a_full_factorial_is_refused():
    with pytest.raises(ValueError, match="no full balanced factorial"):
        blocked_anova(np.zeros((3, 3)), [(0, 0), (0, 1), (1, 0)])
