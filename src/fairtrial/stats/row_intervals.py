"""Intervals of whole tables: one data set per row, arrays of limits out.

Each is the function of the same name without its s, row by row, through the same formula.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Any

import numpy as np

from fairtrial.stats import binomial
from fairtrial.stats.array_records import RowIntervals, StudentRows
from fairtrial.stats.inputs import alike, averaged, still, table
from fairtrial.stats.rules import check_share
from fairtrial.stats.student import Rows, contrast_rows, mean_rows


def mean_intervals(x: Any, level: float = 0.95, *, groups: Collection[Hashable] | None = None) -> StudentRows:
    """Student interval of the mean of each row, as `mean_interval`.

    x: (rows, n). groups: a label per column; values are averaged inside each label first.
    """
    check_share(level, "level")
    values = table(x, "x") if groups is None else averaged(table(x, "x"), groups)
    return _student(mean_rows(values, level), level, "Student t", values.shape[-1])


def paired_intervals(a: Any, b: Any, level: float = 0.95) -> StudentRows:
    """Student interval of the mean paired difference of each row, as `paired_interval`.

    a, b: (rows, n), columns joined on the seed.
    """
    check_share(level, "level")
    first, second = alike({"a": a, "b": b})
    return _student(mean_rows(first - second, level, first, second), level, "paired t", first.shape[-1])


def welch_intervals(a: Any, b: Any, level: float = 0.95) -> StudentRows:
    """Welch's interval of mean(a) - mean(b) of each row, as `welch_interval`.

    a: (rows, n_a), b: (rows, n_b).
    """
    check_share(level, "level")
    cells = [table(a, "a"), table(b, "b")]
    fit = contrast_rows((1, -1), cells, level)
    return _student(fit, level, "Welch t", sum(cell.shape[-1] for cell in cells))


def ratio_intervals(a: Any, b: Any, level: float = 0.95) -> StudentRows:
    """Interval of the ratio of geometric means of each row, as the paired `ratio_interval`.

    a, b: (rows, n) positive rates, columns joined; `se` is on the log scale.
    """
    check_share(level, "level")
    first, second = alike({"a": a, "b": b})
    if min(first.min(), second.min()) <= 0:
        raise ValueError(f"a and b hold positive rates; got {min(first.min(), second.min()):g}")
    logs = np.log(first), np.log(second)
    fit = mean_rows(logs[0] - logs[1], level, *logs, np.ones(1))
    none = np.isinf(fit.high)
    low, high = (np.where(none, each, np.exp(np.where(none, 0, each))) for each in (fit.low, fit.high))
    fit = fit._replace(estimate=np.exp(fit.estimate), low=low, high=high)
    return _student(fit, level, "paired t on log ratios", first.shape[-1])


def interaction_intervals(
    a_small: Any, b_small: Any, a_large: Any, b_large: Any, level: float = 0.95
) -> StudentRows:
    """Interval of (a_small - b_small) - (a_large - b_large) of each row, as `interaction_interval`, paired.

    Four cells of shape (rows, n), columns joined on the seed.
    """
    check_share(level, "level")
    cells = alike({"a_small": a_small, "b_small": b_small, "a_large": a_large, "b_large": b_large})
    per_seed = cells[0] - cells[1] - cells[2] + cells[3]
    fit = mean_rows(per_seed, level, *cells)
    return _student(fit, level, "t on one contrast per seed", per_seed.shape[-1])


def median_intervals(x: Any, level: float = 0.95) -> RowIntervals:
    """The median of each row between order statistics, as `median_interval`; `level` is the exact coverage.

    x: (rows, n).
    """
    check_share(level, "level")
    values = np.sort(table(x, "x"), axis=-1)
    n = values.shape[-1]
    r, coverage = binomial.rank(n, level)
    none = still(values) if n >= 3 else np.ones(len(values), dtype=bool)
    low = np.where(none, -np.inf, values[:, r - 1])
    high = np.where(none, np.inf, values[:, n - r])
    warnings = _counted(none)
    if coverage < level:
        warnings += (f"{100 * level:g} % not attainable at n = {n}: min..max covers {100 * coverage:.5g} %",)
    estimate = np.median(values, axis=-1)
    return _intervals(estimate, low, high, coverage, "order statistics", n, warnings)


def wilson_intervals(k: Any, n: int, level: float = 0.95) -> RowIntervals:
    """Wilson's score interval of each proportion k / n, as `wilson`. k: (rows,) counts in 0..n."""
    return _proportions(k, n, level, "Wilson score", binomial.wilson_limits)


def clopper_pearson_intervals(k: Any, n: int, level: float = 0.95) -> RowIntervals:
    """The exact interval of each proportion k / n, as `clopper_pearson`. k: (rows,) counts in 0..n."""
    return _proportions(k, n, level, "Clopper-Pearson", binomial.clopper_pearson_limits)


def _proportions(k: Any, n: int, level: float, method: str, limits: Any) -> RowIntervals:
    check_share(level, "level")
    counts = table(k, "k", axes=1)
    if n < 1 or counts.min() < 0 or counts.max() > n or (counts != np.round(counts)).any():
        raise ValueError(f"k holds whole numbers in 0..n, n >= 1; got n = {n} and {counts[:5].tolist()} ...")
    low, high = limits(counts, n, level)
    return _intervals(counts / n, low, high, level, method, n, ())


def _intervals(
    estimate: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    level: float,
    method: str,
    n: int,
    warnings: tuple[str, ...],
) -> RowIntervals:
    return RowIntervals(
        estimate=estimate, low=low, high=high, level=level, method=method, n=n, warnings=warnings
    )


def _student(fit: Rows, level: float, method: str, n: int) -> StudentRows:
    return StudentRows(
        estimate=fit.estimate,
        low=fit.low,
        high=fit.high,
        level=level,
        method=method,
        n=n,
        warnings=_counted(np.isinf(fit.high)),
        se=fit.se,
        df=np.broadcast_to(fit.df, fit.estimate.shape),
        t=fit.t,
        p=fit.p,
    )


def _counted(none: np.ndarray) -> tuple[str, ...]:
    return (f"no interval in {int(none.sum())} of {len(none)} rows",) if none.any() else ()
