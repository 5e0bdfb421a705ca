"""The interquartile mean over tasks: a pooled mean that neither a lucky nor a lost run decides."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fairtrial.stats.inputs import Random, constant, generator
from fairtrial.stats.records import IqmInterval
from fairtrial.stats.rules import check_count, check_share

GAMMA = 1.0  # the score that the optimality gap is measured from
_CUT = 0.25  # of all scores, on each side
_BLOCK = 2**20  # scores drawn at a time


def iqm_interval(
    scores: Any,
    level: float = 0.95,
    *,
    resamples: int = 50_000,
    rng: Random,
    unit: str = "seed",
    scope: str = "these tasks",
) -> IqmInterval:
    """Percentile interval of the pooled 25 % trimmed mean over tasks (Agarwal et al., arXiv 2108.13264).

    scores: (n runs, M tasks), finite. k = int(.25·n·M) values are dropped on each side of all of them. Runs
    are resampled independently within each task (stratified bootstrap) by `rng`: tasks are fixed, and the
    runs of one row need not belong together. mean, median: of the task means; optimality_gap: mean of
    max(1 - x, 0). n < 10 is approximate; one task and n < 4 equals the mean; n = 1 or zero variance: no
    interval. An empty, ragged or non-finite table raises ValueError.
    """
    check_share(level, "level")
    resamples = check_count(resamples, "resamples", least=1)
    table = np.sort(_table(scores), axis=0)  # so that the order of the runs does not matter
    runs, tasks = table.shape
    chance = generator(rng, "the runs of each task are resampled")
    low, high, warnings = -math.inf, math.inf, _warnings(runs, tasks)
    if runs > 1 and not constant((table - table[0]).ravel(), table.ravel()):
        ends = np.quantile(_resampled(table, resamples, chance), [(1 - level) / 2, (1 + level) / 2])
        low, high = map(float, ends)
    else:
        why = "one run per task" if runs == 1 else "zero observed variance"
        warnings = (*warnings, f"no interval: {why}")
    return IqmInterval(
        estimate=float(_iqm(table.reshape(1, -1))[0]),
        low=low,
        high=high,
        level=level,
        method="stratified percentile bootstrap of the interquartile mean",
        n=runs,
        unit=unit,
        scope=scope,
        warnings=warnings,
        tasks=tasks,
        mean=float(table.mean()),
        median=float(np.median(table.mean(axis=0))),
        optimality_gap=float(np.maximum(GAMMA - table, 0).mean()),
        resamples=resamples,
    )


def _iqm(pooled: np.ndarray) -> np.ndarray:
    """The mean of each row without its lowest and highest quarter."""
    ranked = np.sort(pooled, axis=1)
    cut = int(_CUT * ranked.shape[1])
    return ranked[:, cut : ranked.shape[1] - cut].mean(axis=1)


def _resampled(table: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """The interquartile mean of each resample."""
    runs, tasks = table.shape
    found, block = [], max(1, _BLOCK // table.size)
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        rows = rng.integers(0, runs, size=(size, runs, tasks))
        found.append(_iqm(table[rows, np.arange(tasks)].reshape(size, -1)))
    return np.concatenate(found)


def _table(scores: Any) -> np.ndarray:
    rows = [list(row) for row in scores]
    if not rows or not rows[0]:
        raise ValueError("scores is empty; it is a table of runs x tasks")
    if len({len(row) for row in rows}) > 1:
        raise ValueError(f"scores has one column per task; got {sorted({len(r) for r in rows})} values")
    table = np.array(rows, dtype=float)
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1)).tolist()
    if bad:
        raise ValueError(f"scores is not finite in runs {bad}; apply the failure policy first")
    return table


def _warnings(runs: int, tasks: int) -> tuple[str, ...]:
    if tasks == 1 and runs < 4:
        return (f"with one task and n = {runs} nothing is trimmed: it equals the mean",)
    return (f"approximate: under-covers at this n = {runs}",) if runs < 10 else ()
