"""Student intervals of contrasts between cells: a difference, a ratio, an interaction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np

from fairtrial.stats.inputs import Groups, Values, joined, sample
from fairtrial.stats.records import InteractionInterval, RatioInterval, WelchInterval
from fairtrial.stats.rules import check_share
from fairtrial.stats.scales import on_scale
from fairtrial.stats.student import Fit, fit_contrast, fit_mean


def welch_interval(
    a: Values, b: Values, level: float = 0.95, *, unit: str = "seed", scope: str = "this test set"
) -> WelchInterval:
    """Welch's interval of mean(a) - mean(b), with the degrees of freedom of Satterthwaite.

    a: (n_a,) and b: (n_b,) independent values, or mappings whose seeds are not joined.
    An arm with n < 3, or two constant arms: no interval, t = 0, p = 1. One constant arm is fine.
    """
    check_share(level, "level")
    first, second = sample(a, "a"), sample(b, "b")
    fit = fit_contrast((1, -1), (first, second), level)
    return WelchInterval(
        estimate=fit.estimate,
        low=fit.low,
        high=fit.high,
        level=level,
        method="Welch t",
        n=len(first) + len(second),
        unit=unit,
        scope=scope,
        warnings=fit.warnings,
        n_a=len(first),
        n_b=len(second),
        se=fit.se,
        df=fit.df,
        t=fit.t,
        p=fit.p,
    )


def ratio_interval(
    a: Values,
    b: Values,
    level: float = 0.95,
    *,
    paired: bool = True,
    unit: str = "seed",
    scope: str = "this test set",
) -> RatioInterval:
    """Interval of the ratio of geometric means a / b.

    The exponential of t on log(a / b), or, unpaired, of Welch on the logs.
    a, b: positive rates, one per launch; mappings or joined arrays when paired.
    A value <= 0 raises ValueError. n < 3 or zero variance of the logs: no interval, p = 1.
    """
    check_share(level, "level")
    first, second = joined({"a": a, "b": b}) if paired else (sample(a, "a"), sample(b, "b"))
    logs = [_log(first, "a"), _log(second, "b")]
    if paired:
        # A rate known to one part in 1e16 has a log known to 1e-16, even where the log is 0.
        fit = fit_mean(logs[0] - logs[1], level, *logs, np.ones(1))
    else:
        fit = fit_contrast((1, -1), logs, level)
    return RatioInterval(
        estimate=math.exp(fit.estimate),
        low=fit.low if fit.warnings else math.exp(fit.low),
        high=fit.high if fit.warnings else math.exp(fit.high),
        level=level,
        method="paired t on log ratios" if paired else "Welch t on logs",
        n=len(first) if paired else len(first) + len(second),
        unit=unit,
        scope=scope,
        warnings=fit.warnings,
        log_sd=fit.sd,
        df=fit.df,
        p=fit.p,
    )


def interaction_interval(
    a_small: Values | Sequence[Values],
    b_small: Values | Sequence[Values],
    a_large: Values | None = None,
    b_large: Values | None = None,
    level: float = 0.95,
    *,
    paired: bool = True,
    scale: str = "identity",
    weights: Sequence[float] | None = None,
    n_test: int | None = None,
    groups: Groups | None = None,
    unit: str = "seed",
    scope: str = "this test set",
) -> InteractionInterval:
    """Interval of (a_small - b_small) - (a_large - b_large): does the gain depend on the second factor?

    Four cells, mappings or arrays. paired: t on one contrast per seed. Unpaired: Welch and Satterthwaite over
    the cells. scale="logit": on the logits, not transformed back; n_test as in `mean_interval`.
    More levels: a_small and b_small are lists with one cell per level, and `weights` (sum 0, for instance the
    centred log2 of the batch size) forms Σ w_l · (a_l - b_l); weights=(1, -1) is the four-cell contrast.
    groups: a label per seed, paired only; every cell is averaged inside each label first.
    """
    check_share(level, "level")
    if groups is not None and not paired:
        raise ValueError("groups are labels of paired seeds: average unpaired cells before they come here")
    arms, loads = _cells(a_small, b_small, a_large, b_large, weights)
    columns = joined(arms, groups) if paired else [sample(cell, name) for name, cell in arms.items()]
    scaled = [on_scale(column, scale, name, n_test) for name, column in zip(arms, columns, strict=True)]
    values = [column for column, _ in scaled]
    fit = _contrast(values, loads, level, paired=paired)
    return InteractionInterval(
        estimate=fit.estimate,
        low=fit.low,
        high=fit.high,
        level=level,
        method=_method(paired, groups) + (", logit scale" if scale == "logit" else ""),
        n=len(values[0]) if paired else sum(map(len, values)),
        unit=unit,
        scope=scope,
        warnings=fit.warnings + tuple(warning for _, each in scaled for warning in each),
        sd=fit.sd if paired else None,
        se=fit.se,
        df=fit.df,
        t=fit.t,
        p=fit.p,
    )


def _method(paired: bool, groups: Groups | None) -> str:
    if not paired:
        return "Welch-Satterthwaite t over the cells"
    return "t on one contrast per seed" if groups is None else "t on one contrast per group"


def _log(values: np.ndarray, name: str) -> np.ndarray:
    if values.min() <= 0:
        raise ValueError(f"{name} holds positive rates; got {values.min():g}")
    return np.log(values)


def _cells(
    a: Values | Sequence[Values],
    b: Values | Sequence[Values],
    a_large: Values | None,
    b_large: Values | None,
    weights: Sequence[float] | None,
) -> tuple[dict[str, Values], list[float]]:
    """Cell by name, and the weight of each cell, in the same order."""
    if weights is None:
        if a_large is None or b_large is None:
            raise ValueError(
                "four cells are needed: a_small, b_small, a_large, b_large; or weights= for more"
            )
        four = {"a_small": a, "b_small": b, "a_large": a_large, "b_large": b_large}
        return cast(dict[str, Values], four), [1.0, -1.0, -1.0, 1.0]
    if a_large is not None or b_large is not None:
        raise ValueError(
            "with weights=, the first two arguments list one cell per level and no others are given"
        )
    if not len(weights) == len(a) == len(b) or len(weights) < 2:
        raise ValueError(f"one weight and two cells per level; got {len(weights)}, {len(a)} and {len(b)}")
    if abs(sum(weights)) > 1e-9 * max(map(abs, weights)) or not any(weights):
        raise ValueError(f"weights sum to 0 and are not all 0; got {list(weights)}")
    arms = {f"a[{i}]": cell for i, cell in enumerate(a)} | {f"b[{i}]": cell for i, cell in enumerate(b)}
    return cast(dict[str, Values], arms), [*map(float, weights), *(-float(w) for w in weights)]


def _contrast(cells: list[np.ndarray], weights: list[float], level: float, *, paired: bool) -> Fit:
    if not paired:
        return fit_contrast(weights, cells, level)
    per_seed = np.sum([w * cell for w, cell in zip(weights, cells, strict=True)], axis=0)
    return fit_mean(per_seed, level, *(w * cell for w, cell in zip(weights, cells, strict=True)))
