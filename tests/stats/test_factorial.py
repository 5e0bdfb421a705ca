"""Blocked ANOVA against statsmodels."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from fairtrial.stats import blocked_anova


def named(cells):
    """Factor -> the level of each cell."""
    return dict(zip("AB", zip(*cells, strict=True), strict=True))


@pytest.mark.parametrize("start", range(0, 200, 20))
def test_blocked_anova_agrees_with_statsmodels_on_200_data_sets(start):
    for seed in range(start, start + 20):
        random = np.random.default_rng(seed)
        sizes, blocks = random.integers(2, 4, size=2), int(random.integers(3, 8))
        cells = list(product("xyz"[: sizes[0]], "pqr"[: sizes[1]]))
        y = random.normal(size=(blocks, len(cells))) * 10.0 ** random.integers(-3, 3) + np.arange(len(cells))
        rows = [(s, *cell, y[s, c]) for s in range(blocks) for c, cell in enumerate(cells)]
        frame = pd.DataFrame(rows, columns=["seed", "A", "B", "y"])
        want = anova_lm(ols("y ~ C(seed) + C(A) * C(B)", frame).fit())
        got = blocked_anova(y, named(cells))
        for effect, name in zip(got.effects, ["C(A)", "C(B)", "C(A):C(B)"], strict=True):
            said = tuple(want.loc[name, ["F", "df", "PR(>F)"]])
            assert (effect.F, effect.df, effect.p) == pytest.approx(said, rel=1e-6, abs=1e-12)
        residual = tuple(want.loc["Residual", ["mean_sq", "df"]])
        assert (got.ms_res, got.df_res) == pytest.approx(residual)
        assert sum(effect.share for effect in got.effects) == pytest.approx(1)


def test_anything_but_a_full_factorial_is_refused():
    with pytest.raises(ValueError, match="no full balanced factorial"):
        blocked_anova(np.zeros((3, 3)), named([(0, 0), (0, 1), (1, 0)]))
