"""Student's t for a mean and for a weighted sum of independent means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from fairtrial.stats.inputs import constant


class Fit(NamedTuple):
    """An estimate with its t interval; without an interval t = 0, p = 1 and the limits are infinite."""

    estimate: float
    sd: float
    se: float
    df: float
    t: float
    p: float
    low: float
    high: float
    warnings: tuple[str, ...]


def fit_mean(values: np.ndarray, level: float, *inputs: np.ndarray) -> Fit:
    """m ± t(level, n-1) · s / √n; `inputs`, from which the values came, say what is no variance."""
    n = len(values)
    sd = float(values.std(ddof=1)) if n > 1 else math.inf
    still = constant(values, *inputs)
    return _fit(float(values.mean()), sd, sd / math.sqrt(n), n - 1, level, enough=n >= 3, still=still)


def fit_contrast(weights: Sequence[float], cells: Sequence[np.ndarray], level: float) -> Fit:
    """Σ w_i m_i with se² = Σ w_i² s_i² / n_i and the degrees of freedom of Welch and Satterthwaite.

    `sd` is the pooled one of the cells.
    """
    estimate = sum(w * float(cell.mean()) for w, cell in zip(weights, cells, strict=True))
    if min(len(cell) for cell in cells) < 2:
        return _fit(estimate, math.inf, math.inf, 0, level, enough=False, still=False)
    free = [len(cell) - 1 for cell in cells]
    variances = [0.0 if constant(cell) else float(cell.var(ddof=1)) for cell in cells]
    parts = [w * w * s2 / len(cell) for w, s2, cell in zip(weights, variances, cells, strict=True)]
    total = sum(parts)
    pooled = math.sqrt(sum(v * s2 for v, s2 in zip(free, variances, strict=True)) / sum(free))
    # Shares of the total keep the ratio clear of underflow.
    df = 1 / sum((part / total) ** 2 / v for part, v in zip(parts, free, strict=True)) if total else sum(free)
    enough = min(free) >= 2
    return _fit(estimate, pooled, math.sqrt(total), df, level, enough=enough, still=total == 0)


def _fit(estimate: float, sd: float, se: float, df: float, level: float, *, enough: bool, still: bool) -> Fit:
    if not enough:
        warning = "no interval: fewer than 3 replication units"
    elif still:
        warning = "no interval: zero observed variance"
    else:
        t = estimate / se
        half = float(stdtrit(df, 0.5 + level / 2)) * se
        return Fit(estimate, sd, se, df, t, p_value(t, df), estimate - half, estimate + half, ())
    return Fit(estimate, sd, se, df, 0.0, 1.0, -math.inf, math.inf, (warning,))


def p_value(t: float, df: float) -> float:
    """Two-sided P(|T| >= |t|)."""
    return float(2 * stdtr(df, -abs(t)))
