"""Student's t for a mean and for a weighted sum of independent means, of one sample or of a table of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from fairtrial.stats.inputs import still


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


class Rows(NamedTuple):
    """The same for every row of a table, as arrays; `df` is one number where all rows share it."""

    estimate: np.ndarray
    sd: np.ndarray
    se: np.ndarray
    df: np.ndarray | int
    t: np.ndarray
    p: np.ndarray
    low: np.ndarray
    high: np.ndarray


def fit_mean(values: np.ndarray, level: float, *inputs: np.ndarray) -> Fit:
    """m ± t(level, n-1) · s / √n; `inputs`, from which the values came, say what is no variance."""
    return _alone(mean_rows(values, level, *inputs), enough=len(values) >= 3)


def mean_rows(values: np.ndarray, level: float, *inputs: np.ndarray) -> Rows:
    """`fit_mean` along the last axis: (..., n) values, and inputs that broadcast with them."""
    n = values.shape[-1]
    estimate = values.mean(axis=-1)
    sd = values.std(axis=-1, ddof=1) if n > 1 else np.full_like(estimate, math.inf)
    none = still(values, *inputs) if n >= 3 else np.ones_like(estimate, dtype=bool)
    return _rows(estimate, sd, sd / math.sqrt(n), n - 1, level, none)


def fit_contrast(weights: Sequence[float], cells: Sequence[np.ndarray], level: float) -> Fit:
    """Σ w_i m_i with se² = Σ w_i² s_i² / n_i and the degrees of freedom of Welch and Satterthwaite.

    `sd` is the pooled one of the cells.
    """
    return _alone(contrast_rows(weights, cells, level), enough=min(map(len, cells)) >= 3)


def contrast_rows(weights: Sequence[float], cells: Sequence[np.ndarray], level: float) -> Rows:
    """`fit_contrast` along the last axis: cells of shape (..., n_i)."""
    estimate = sum((w * cell.mean(axis=-1) for w, cell in zip(weights, cells, strict=True)), np.zeros(()))
    free = [cell.shape[-1] - 1 for cell in cells]
    if min(free) < 1:
        unknown = np.full_like(estimate, math.inf)
        return _rows(estimate, unknown, unknown, 0, level, np.ones_like(estimate, dtype=bool))
    variances = [np.where(still(cell), 0.0, cell.var(axis=-1, ddof=1)) for cell in cells]
    parts = [w * w * s2 / (v + 1) for w, s2, v in zip(weights, variances, free, strict=True)]
    total = np.sum(parts, axis=0)
    pooled = np.sqrt(sum(v * s2 for v, s2 in zip(free, variances, strict=True)) / sum(free))
    whole = np.where(total > 0, total, 1)  # shares of the total keep the ratio clear of underflow
    shares = np.sum([(part / whole) ** 2 / v for part, v in zip(parts, free, strict=True)], axis=0)
    df = np.where(total > 0, 1 / np.where(total > 0, shares, 1), sum(free))
    return _rows(estimate, pooled, np.sqrt(total), df, level, (total == 0) | (min(free) < 2))


def _rows(
    estimate: np.ndarray, sd: np.ndarray, se: np.ndarray, df: np.ndarray | int, level: float, none: np.ndarray
) -> Rows:
    known, free = np.where(none, 1.0, se), np.maximum(df, 1)
    t = np.where(none, 0.0, estimate / known)
    half = np.where(none, math.inf, stdtrit(free, 0.5 + level / 2) * known)
    return Rows(estimate, sd, se, df, t, _p_value(t, free), estimate - half, estimate + half)


def _alone(rows: Rows, *, enough: bool) -> Fit:
    """The fit of a single sample, with the reason where it has no interval."""
    df = rows.df if isinstance(rows.df, int) else float(rows.df)
    warnings: tuple[str, ...] = ()
    if math.isinf(rows.high):
        why = "zero observed variance" if enough else "fewer than 3 replication units"
        warnings = (f"no interval: {why}",)
    estimate, sd, se, t, p, low, high = (
        float(each) for each in (rows.estimate, rows.sd, rows.se, rows.t, rows.p, rows.low, rows.high)
    )
    return Fit(estimate, sd, se, df, t, p, low, high, warnings)


def _p_value(t: np.ndarray, df: np.ndarray | int) -> np.ndarray:
    """Two-sided P(|T| >= |t|)."""
    return 2 * stdtr(df, -np.abs(t))
