"""Learning curves: a band for the whole curve beside the pointwise one."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from scipy.special import stdtrit

from fairtrial.stats.array_records import Band
from fairtrial.stats.inputs import Random, generator
from fairtrial.stats.inputs import still as unchanging
from fairtrial.stats.rules import check_share

_RESAMPLES = 9999
_LEAST = 10  # curves, before they are resampled


def simultaneous_band(
    curves: Mapping[Any, Collection[float]] | Collection[Collection[float]] | np.ndarray,
    level: float = 0.95,
    *,
    method: str = "bonferroni",
    at: Collection[float] | None = None,
    rng: Random | None = None,
    unit: str = "seed",
    scope: str = "this test set",
) -> Band:
    """A band that holds the whole mean curve with this confidence.

    curves: (S seeds, T checkpoints), or seed -> curve; T counts the plotted checkpoints. method "bonferroni":
    m_t ± t(1 - α/(2T), S-1)·s_t/√S. "sup-t": the quantile of the largest studentized deviation when whole
    curves are resampled; needs rng and S >= 10. auc: area under each curve (trapezoid) over `at`, or over
    checkpoint numbers. S < 3: no band. A checkpoint without variance has no limits and a warning; ragged or
    non-finite curves raise.
    """
    check_share(level, "level")
    table = _table(curves)
    seeds, checkpoints = table.shape
    if method not in ("bonferroni", "sup-t"):
        raise ValueError(f"unknown method {method!r}; known: bonferroni, sup-t")
    mean = table.mean(axis=0)
    still = unchanging(table.T)
    pointwise, wide = factors(seeds, checkpoints, level)
    if method == "sup-t":
        wide = _sup_t(table[:, ~still], level, generator(rng, "whole curves are resampled"))
    near, far = (half_widths(table.T, factor) for factor in (pointwise, wide))
    return Band(
        method=f"{method} band over {checkpoints} checkpoints",
        n=seeds,
        unit=unit,
        scope=scope,
        warnings=_warnings(seeds, still, wide),
        level=level,
        estimate=mean,
        low=mean - far,
        high=mean + far,
        pointwise_low=mean - near,
        pointwise_high=mean + near,
        auc=_area(table, at),
    )


def factors(seeds: int, checkpoints: int, level: float) -> tuple[float, float]:
    """Standard errors to each side: for one checkpoint alone, and for all of them by Bonferroni."""
    if seeds < 3:
        return math.inf, math.inf
    at_once = 1 - (1 - level) / (2 * checkpoints)
    return float(stdtrit(seeds - 1, (1 + level) / 2)), float(stdtrit(seeds - 1, at_once))


def half_widths(values: np.ndarray, factor: float) -> np.ndarray:
    """factor · s / √S along the last axis, infinite without variance: (..., T, S) -> (..., T)."""
    seeds, still = values.shape[-1], unchanging(values)
    se = values.std(axis=-1, ddof=1) / math.sqrt(seeds) if seeds > 1 else np.full(still.shape, math.inf)
    return np.where(still, math.inf, factor * np.where(still, 1, se))


def _table(curves: Any) -> np.ndarray:
    rows = list(curves.values()) if hasattr(curves, "items") else list(curves)
    lengths = sorted({len(row) for row in rows})
    if not rows or lengths[0] == 0:
        raise ValueError("curves is empty")
    if len(lengths) > 1:
        raise ValueError(f"curves have one value per checkpoint; got lengths {lengths}")
    table = np.array([list(row) for row in rows], dtype=float)
    if not np.isfinite(table).all():
        bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
        seeds = list(curves) if hasattr(curves, "items") else list(range(len(rows)))
        raise ValueError(
            f"curves is not finite at seeds {[seeds[i] for i in bad]}; apply the failure policy first"
        )
    return table


def _area(table: np.ndarray, at: Collection[float] | None) -> np.ndarray:
    """The trapezoid rule along each row."""
    x = np.arange(table.shape[1], dtype=float) if at is None else np.array(list(at), dtype=float)
    if x.shape != table.shape[1:] or not np.isfinite(x).all() or (np.diff(x) <= 0).any():
        raise ValueError(f"at rises and has one number per checkpoint, {table.shape[1]}; got {x.tolist()}")
    return (table[:, 1:] + table[:, :-1]) @ np.diff(x) / 2


def _sup_t(table: np.ndarray, level: float, rng: np.random.Generator) -> float:
    """The level quantile of max |m* - m| / se* over resamples of whole curves."""
    seeds, checkpoints = table.shape
    if seeds < _LEAST:
        raise ValueError(f"method='sup-t' resamples at least {_LEAST} curves; got {seeds}: use 'bonferroni'")
    if not checkpoints:
        return math.inf
    table = table[np.lexsort(table.T)]  # so that the order of the seeds does not matter
    centred = table - table.mean(axis=0)
    # How often each curve is drawn in each resample.
    times = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=_RESAMPLES)
    mean = times @ centred / seeds
    variance = (times @ centred**2 / seeds - mean**2) * seeds / (seeds - 1)
    variance[variance <= 1e-12 * (centred**2).max(axis=0)] = 0  # what rounding leaves of equal values
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(mean) * math.sqrt(seeds) / np.sqrt(variance)
    largest = np.nan_to_num(t, nan=0.0, posinf=np.inf).max(
        axis=1
    )  # a resample without spread has 0/0, or inf
    return float(np.quantile(largest, level, method="higher"))


def _warnings(seeds: int, still: np.ndarray, wide: float) -> tuple[str, ...]:
    if seeds < 3:
        return ("no interval: fewer than 3 replication units",)
    if math.isinf(wide) and not still.all():
        return ("no interval: too many resamples have a checkpoint without variance",)
    if still.any():
        where = np.flatnonzero(still).tolist()
        return (f"no interval at checkpoints {where}: zero observed variance",)
    return ()
