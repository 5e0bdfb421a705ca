"""Learning curves: a band for the whole curve beside the pointwise one."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairtrial.stats.inputs import constant_columns
from fairtrial.stats.records import Record
from fairtrial.stats.rules import check_share, no_interval
from fairtrial.stats.student import t_quantile
from fairtrial.study.limits import MIN_UNITS


@dataclass(frozen=True, kw_only=True, eq=False)
class Band(Record):
    """A mean curve, its simultaneous band and the pointwise one: arrays over the T checkpoints."""

    n: int
    level: float
    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    pointwise_low: np.ndarray
    pointwise_high: np.ndarray


def simultaneous_band(
    curves: Collection[Collection[float]] | np.ndarray,
    level: float = 0.95,
    *,
    unit: str = "seed",
    scope: str = "this test set",
) -> Band:
    """Return a band that holds the whole mean curve with this confidence, by Bonferroni.

    curves: (S seeds, T checkpoints); T counts the plotted checkpoints. m_t ± t(1 - α/(2T), S-1)·s_t/√S.
    Too few seeds: no band. A checkpoint without variance has no limits and a warning; ragged or non-finite
    curves raise ValueError.
    """
    check_share(level, "level")
    table = _table(curves)
    seeds, checkpoints = table.shape
    mean, still = table.mean(axis=0), constant_columns(table)
    near = _half_widths(table, still, (1 + level) / 2)
    far = _half_widths(table, still, 1 - (1 - level) / (2 * checkpoints))
    warning = no_interval(seeds, flat=False)
    if not warning and still.any():
        warning = f"no interval at checkpoints {np.flatnonzero(still).tolist()}: zero observed variance"
    return Band(
        method=f"bonferroni band over {checkpoints} checkpoints",
        n=seeds,
        unit=unit,
        scope=scope,
        warnings=(warning,) if warning else (),
        level=level,
        estimate=mean,
        low=mean - far,
        high=mean + far,
        pointwise_low=mean - near,
        pointwise_high=mean + near,
    )


def _half_widths(table: np.ndarray, still: np.ndarray, quantile: float) -> np.ndarray:
    """t(quantile) · s / √S of each checkpoint, infinite without variance."""
    seeds = len(table)
    if seeds < MIN_UNITS:
        return np.full(table.shape[1], math.inf)
    factor = t_quantile(quantile, seeds - 1)
    se = table.T.std(axis=-1, ddof=1) / math.sqrt(seeds)
    return np.where(still, math.inf, factor * np.where(still, 1, se))


def _table(curves: Any) -> np.ndarray:
    rows = list(curves)
    lengths = sorted({len(row) for row in rows})
    if not rows or lengths[0] == 0:
        raise ValueError("curves is empty")
    if len(lengths) > 1:
        raise ValueError(f"curves have one value per checkpoint; got lengths {lengths}")
    table = np.array([list(row) for row in rows], dtype=float)
    if bad := np.flatnonzero(~np.isfinite(table).all(axis=1)).tolist():
        raise ValueError(f"curves is not finite at seeds {bad}; apply the failure policy first")
    return table
