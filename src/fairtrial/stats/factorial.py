"""Analysis of variance of a full factorial in blocks: one run of every cell per seed."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
from scipy.special import fdtrc

from fairtrial.stats.inputs import constant
from fairtrial.stats.records import Interval
from fairtrial.stats.student import fit_mean


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One line of an analysis of variance; `factors` has two names and more for an interaction."""

    factors: tuple[str, ...]
    F: float
    df: int
    ms: float
    p: float
    share: float


@dataclass(frozen=True, kw_only=True)
class BlockedAnova(Interval):
    """A grand mean with t over blocks, and the effects in the order of their factors.

    `share_noise` is what the noise of the cell means, ms_res / n, is of their variance; it stands apart.
    """

    effects: tuple[Effect, ...]
    ms_res: float
    df_res: int
    share_noise: float


def blocked_anova(
    y: Any,
    levels: Mapping[str, Sequence[Hashable]],
    *,
    level: float = 0.95,
    unit: str = "seed",
    scope: str = "this test set",
) -> BlockedAnova:
    """Return a blocked factorial ANOVA: F, p and share of every effect and interaction; a seed is a block.

    y: (S seeds, cells). levels: factor -> the level of each cell. The residual is block x cell with
    df_res = (S-1)(cells-1). share: the variance of an effect over that of the cell means (equal weight per
    cell, ddof = 0), so the shares sum to 1 and depend on the levels chosen. estimate low high: the grand
    mean with t over blocks.
    Anything but one cell per combination of levels, S < 2, missing values: ValueError. Residual 0: F = inf
    and a warning. Sphericity is assumed here and not by the t interval of a contrast, which stays primary.
    Source: Montgomery, Design and Analysis of Experiments, chapter 5 (blocking in a factorial design).
    """
    table = _table(y)
    named = _factors(levels, table.shape[1])
    grid = _grid(table, named)
    seeds, cells = table.shape
    free = (seeds - 1) * (cells - 1)
    left = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    ms_res = 0.0 if constant(left.ravel(), table.ravel()) else float((left**2).sum()) / free
    means = grid.mean(axis=0)
    variance = 0.0 if constant(means.ravel(), table.ravel()) else float(means.var())
    noise: dict[str, Any] = {"ms_res": ms_res, "df_res": free}
    effects = tuple(
        _effect(means, axes, names=list(named), seeds=seeds, variance=variance, **noise)
        for axes in _subsets(named)
    )
    fit = fit_mean(table.mean(axis=1), level, table.ravel())
    still = ("zero residual: F is infinite",) if not ms_res else ()
    return BlockedAnova(
        **{**fit.interval(), "warnings": (*fit.warnings, *still)},
        method="blocked factorial ANOVA",
        unit=unit,
        scope=scope,
        effects=effects,
        ms_res=ms_res,
        df_res=free,
        share_noise=ms_res / seeds / variance if variance else math.inf if ms_res else 0.0,
    )


def _table(y: Any) -> np.ndarray:
    table = np.array(y, dtype=float)
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] < 2:
        raise ValueError(f"y holds at least 2 seeds of at least 2 cells; got shape {table.shape}")
    bad = np.argwhere(~np.isfinite(table)).tolist()
    if bad:
        raise ValueError(f"y has no finite value at (seed, cell) {bad[:5]}: every cell is needed")
    return table


def _factors(levels: Mapping[str, Sequence[Hashable]], cells: int) -> dict[str, list[Hashable]]:
    """Factor -> the level of each cell."""
    named = {str(name): list(each) for name, each in levels.items()}
    wrong = {name: len(each) for name, each in named.items() if len(each) != cells}
    if wrong or not named:
        raise ValueError(f"levels names one level per cell and factor; y has {cells} cells, levels {wrong}")
    return named


def _grid(table: np.ndarray, named: Mapping[str, Sequence[Hashable]]) -> np.ndarray:
    """(S, levels of the first factor, of the second, ...) from (S, cells)."""
    places = [{level: i for i, level in enumerate(dict.fromkeys(each))} for each in named.values()]
    shape = [len(place) for place in places]
    columns: list[list[int]] = [
        [place[level] for level in each] for place, each in zip(places, named.values(), strict=True)
    ]
    at = list(zip(*columns, strict=True))
    if sorted(at) != list(product(*map(range, shape))):
        raise ValueError(
            f"levels is no full balanced factorial: {len(at)} cells for {math.prod(shape)} combinations"
        )
    if min(shape) < 2:
        raise ValueError("every factor has at least two levels")
    grid = np.empty((len(table), *shape))
    for column, spot in enumerate(at):
        grid[(slice(None), *spot)] = table[:, column]
    return grid


def _subsets(named: Mapping[str, Any]) -> list[tuple[int, ...]]:
    """Main effects, then pairs, then triples, as positions of factors."""
    return [axes for size in range(1, len(named) + 1) for axes in combinations(range(len(named)), size)]


def _effect(
    means: np.ndarray,
    axes: tuple[int, ...],
    *,
    names: list[str],
    seeds: int,
    ms_res: float,
    df_res: int,
    variance: float,
) -> Effect:
    part = _deviations(means, axes)
    own = 0.0 if constant(part.ravel(), means.ravel()) else float((part**2).mean())
    df = math.prod(means.shape[axis] - 1 for axis in axes)
    square = seeds * means.size * own / df
    ratio = square / ms_res if ms_res else math.inf if square else 0.0
    return Effect(
        factors=tuple(names[axis] for axis in axes),
        F=ratio,
        df=df,
        ms=square,
        p=float(fdtrc(df, df_res, ratio)) if math.isfinite(ratio) else 0.0,
        share=own / variance if variance else 0.0,
    )


def _deviations(means: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The effect of a set of factors on the cell means: inclusion and exclusion of marginal means."""
    total = np.zeros_like(means)
    for size in range(len(axes) + 1):
        for kept in combinations(axes, size):
            over = tuple(axis for axis in range(means.ndim) if axis not in kept)
            total += (-1) ** (len(axes) - size) * (means.mean(axis=over, keepdims=True) if over else means)
    return total
