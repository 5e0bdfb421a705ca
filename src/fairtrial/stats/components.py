"""Where variance comes from: tables of rows crossed with columns, and groups of repeats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairtrial.stats.inputs import constant
from fairtrial.stats.records import Interval
from fairtrial.stats.rules import check_share
from fairtrial.stats.student import fit_mean, t_quantile


@dataclass(frozen=True, kw_only=True)
class VarianceComponents(Interval):
    """A grand mean with t over row means, and the components of a table of rows x columns.

    `share_row share_col share_res` are of the sum of the components. `*_new_images` speak of new columns and
    new rows at once; their limits are infinite where there is no interval.
    """

    se: float
    df: float
    ms_row: float
    ms_col: float
    ms_res: float
    var_row: float
    var_col: float
    var_res: float
    share_row: float
    share_col: float
    share_res: float
    se_new_images: float
    df_new_images: float
    low_new_images: float
    high_new_images: float


@dataclass(frozen=True, kw_only=True)
class NestedComponents(Interval):
    """A grand mean with t over group means, and the variance between and within groups."""

    se: float
    df: float
    ms_between: float
    ms_within: float
    var_between: float
    var_within: float
    share_between: float


def variance_components(
    y: Any,
    *,
    rows: str = "subset",
    cols: str = "order",
    level: float = 0.95,
    unit: str = "",
    scope: str = "this test set",
) -> VarianceComponents:
    """Return mean squares and variance components of a balanced table, and its mean with t over row means.

    y: (S, R), one value per cell of `rows` crossed with `cols`; also seeds x images. The mean squares are
    those of the two-way table without replication: var_row = (MS_row - MS_res) / R, var_col = (MS_col -
    MS_res) / S, var_res = MS_res. A negative component becomes 0 and is named in a warning. n counts rows,
    which are the unit unless `unit` names another.
    se_new_images² = (MS_row + MS_col - MS_res) / (S·R) is the error over new rows and new columns, with the
    degrees of freedom of Satterthwaite. A negative component counts as 0: the larger of MS_row and MS_col
    stands for the sum, or MS_res where both are below it, with its own degrees of freedom (a sum near 0 would
    have hardly any, and too wide limits). Its limits are not narrower than those of the row means.
    S or R < 2, missing cells: ValueError. S < 3 or equal row means: no interval, and a warning.
    Source: Searle, Casella & McCulloch, Variance Components (1992), chapter 4.
    """
    check_share(level, "level")
    table = _table(y, rows, cols)
    squares = _mean_squares(table)
    parts = _components(squares, table.shape)
    clipped = [max(part, 0.0) for part in parts]
    fit = fit_mean(table.mean(axis=1), level, table.ravel())
    error, df, warning = _new_columns(squares, table.shape)
    half = t_quantile(0.5 + level / 2, df) * error if error and not fit.warnings else math.inf
    zeros = [name for name, part in zip((rows, cols), parts, strict=False) if part < 0]
    values = (*squares, *clipped, *_shares(clipped, sum(clipped)))
    names = [f"{kind}_{part}" for kind in ("ms", "var", "share") for part in ("row", "col", "res")]
    fields: dict[str, Any] = dict(zip(names, values, strict=True))
    warnings = (*fit.warnings, *map(_zero, zeros), *warning)
    return VarianceComponents(
        **{**fit.interval(), "warnings": warnings},
        method="t over row means, two-way mean squares",
        unit=unit or rows,
        scope=scope,
        se=fit.se,
        df=fit.df,
        **fields,
        se_new_images=error,
        df_new_images=df,
        low_new_images=min(fit.low, fit.estimate - half),
        high_new_images=max(fit.high, fit.estimate + half),
    )


def nested_components(
    y: Any, *, groups: str = "upstream checkpoint", level: float = 0.95, scope: str = "this test set"
) -> NestedComponents:
    """Return the variance between and within groups of equal size, and the mean with t over group means.

    y: (P, K), K values of each of P groups, for instance K fine-tunings of a checkpoint. One-way mean
    squares: var_between = (MS_between - MS_within) / K, at least 0, var_within = MS_within; the variance of
    the mean is var_between / P + var_within / (P·K), and n = P.
    P or K < 2, missing values: ValueError. P < 3 or equal group means: no interval, and a warning.
    Source: Searle, Casella & McCulloch, Variance Components (1992), chapter 3.
    """
    check_share(level, "level")
    table = _table(y, groups, "repeat")
    repeats = table.shape[1]
    between = repeats * float(table.mean(axis=1).var(ddof=1))
    within = float(table.var(axis=1, ddof=1).mean())
    raw = (between - within) / repeats
    fit = fit_mean(table.mean(axis=1), level, table.ravel())
    kept = [max(raw, 0.0), within]
    zero = (_zero(groups),) if raw < 0 else ()
    return NestedComponents(
        **{**fit.interval(), "warnings": (*fit.warnings, *zero)},
        method="t over group means, one-way mean squares",
        unit=groups,
        scope=scope,
        se=fit.se,
        df=fit.df,
        ms_between=between,
        ms_within=within,
        var_between=kept[0],
        var_within=kept[1],
        share_between=_shares(kept, sum(kept))[0],
    )


def _zero(name: str) -> str:
    return f"the variance of {name} came out negative: 0"


def _table(y: Any, rows: str, cols: str) -> np.ndarray:
    lengths = {len(row) for row in y}
    if len(lengths) > 1:
        raise ValueError(f"y is a balanced table: its rows have {sorted(lengths)} values")
    table = np.array(y, dtype=float)
    if table.ndim != 2 or min(table.shape) < 2:
        raise ValueError(f"y holds at least 2 {rows} rows of 2 {cols} columns; got shape {table.shape}")
    bad = np.argwhere(~np.isfinite(table)).tolist()
    if bad:
        raise ValueError(f"y has no finite value at (row, column) {bad[:5]}: every cell is needed")
    return table


def _mean_squares(table: np.ndarray) -> tuple[float, float, float]:
    """Of rows, of columns, of what is left; rounding counts as nothing."""
    s, r = table.shape
    row, col = table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True)
    left = table - row - col + table.mean()
    rest = 0.0 if constant(left.ravel(), table.ravel()) else float((left**2).sum()) / ((s - 1) * (r - 1))
    return r * _variance(row, table), s * _variance(col, table), rest


def _variance(means: np.ndarray, table: np.ndarray) -> float:
    return 0.0 if constant(means.ravel(), table.ravel()) else float(means.var(ddof=1))


def _components(squares: Sequence[float], shape: tuple[int, ...]) -> tuple[float, float, float]:
    row, col, rest = squares
    return (row - rest) / shape[1], (col - rest) / shape[0], rest


def _shares(parts: Sequence[float], total: float) -> list[float]:
    return [part / total if total else 0.0 for part in parts]


def _new_columns(squares: Sequence[float], shape: tuple[int, ...]) -> tuple[float, float, tuple[str, ...]]:
    """Standard error of the mean over new rows and columns, its degrees of freedom, warnings."""
    s, r = shape
    row, col, rest = squares
    total, free = row + col - rest, (s - 1, r - 1, (s - 1) * (r - 1))
    largest, df = max(zip(squares, free, strict=True))
    if total >= largest > 0:
        spread = sum(square**2 / df for square, df in zip(squares, free, strict=True))
        return math.sqrt(total / (s * r)), total**2 / spread, ()
    warning = "the variance over new images came out negative: the larger mean square stands for it"
    return math.sqrt(largest / (s * r)), float(df), (warning,) if total < 0 else ()
