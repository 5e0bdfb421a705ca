"""Bootstrap intervals, for ten units or more: opt-in, never chosen silently."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from fairtrial.stats.inputs import Random, Values, check_count, check_share, constant, generator, sample
from fairtrial.stats.records import BootstrapInterval

Statistic: TypeAlias = str | Callable[[np.ndarray], float]

_NAMED: dict[str, Callable[..., np.ndarray]] = {
    "mean": np.mean,
    "median": np.median,
    "min": np.min,
    "max": np.max,
}
_ROUGH = ("median", "min", "max")  # their jackknife says nothing about their spread
_METHODS = ("percentile", "basic", "bca", "studentized")
_LEAST = 5
_EXACT = 50_000  # n^n resamples: up to n = 6
_BLOCK = 2**20


class _Draws(NamedTuple):
    """The statistic of each resample, and for the mean its t value; slack keeps ties in spite of rounding."""

    theta: float
    values: np.ndarray
    t: np.ndarray


def bootstrap_interval(
    x: Values,
    statistic: Statistic = "mean",
    level: float = 0.95,
    *,
    method: str = "bca",
    resamples: int | Literal["exact"] = 9999,
    rng: Random | None = None,
    unit: str = "seed",
    scope: str = "this test set",
) -> BootstrapInterval:
    """Bootstrap interval of a statistic of n values (Efron & Tibshirani 1993).

    x: (n,) values or seed -> value. statistic: mean, median, min, max, or a function of a 1-D array.
    method: percentile, basic, bca (not for median, min, max) or studentized (mean only); quantiles are
    linear. resamples="exact" counts all n^n of them, up to 50 000, and needs no rng.
    n < 5 raises ValueError; n < 10 warns. BCa that is not defined falls back to t with the bootstrap standard
    error; zero variance gives no interval.
    """
    check_share(level, "level")
    values = np.sort(sample(x, "x"))
    name, function = _statistic(statistic, method)
    if len(values) < _LEAST:
        raise ValueError(f"x has {len(values)} values; a bootstrap needs at least {_LEAST}: use t")
    draws = _draw(values, name, function, resamples, rng)
    warnings = () if len(values) >= 10 else (f"under-covers at this n: {len(values)} values, t does not",)
    low, high, z0, a, used = _limits(values, draws, level, method, name, function)
    if used != method:
        warnings += (f"{method} is not defined for these values: {used}",)
    if constant(values) or not (math.isfinite(low) and math.isfinite(high)):
        low, high = -math.inf, math.inf
        why = "zero observed variance" if constant(draws.values) else "too few different resamples"
        warnings += (f"no interval: {why}",)
    return BootstrapInterval(
        estimate=draws.theta,
        low=low,
        high=high,
        level=level,
        method=f"{used} bootstrap of the {name}{', all resamples' if resamples == 'exact' else ''}",
        n=len(values),
        unit=unit,
        scope=scope,
        warnings=warnings,
        z0=z0,
        acceleration=a,
        resamples=len(draws.values),
    )


def _statistic(statistic: Statistic, method: str) -> tuple[str, Callable[[np.ndarray], np.ndarray]]:
    """A name, and a function of (rows, n) -> (rows,)."""
    if method not in _METHODS:
        raise ValueError(f"unknown method {method!r}; known: {', '.join(_METHODS)}")
    if isinstance(statistic, str) and statistic not in _NAMED:
        raise ValueError(f"unknown statistic {statistic!r}; known: {', '.join(_NAMED)}, or a function")
    named = {function: name for name, function in _NAMED.items()}
    name = statistic if isinstance(statistic, str) else named.get(statistic, "")
    if method == "bca" and name in _ROUGH:
        raise ValueError(f"bca has no jackknife for the {name}: use median_interval, or method='percentile'")
    if method == "studentized" and name != "mean":
        raise ValueError("method='studentized' knows the standard error of the mean only")
    if name:
        return name, lambda rows: _NAMED[name](rows, axis=-1)
    assert callable(statistic)
    own = statistic
    return getattr(own, "__name__", "statistic"), lambda rows: np.array([float(own(row)) for row in rows])


def _draw(
    values: np.ndarray,
    name: str,
    function: Callable[[np.ndarray], np.ndarray],
    resamples: int | Literal["exact"],
    rng: Random | None,
) -> _Draws:
    n, theta = len(values), float(function(values[None])[0])
    blocks = []
    for index in _indices(n, resamples, rng):
        rows = values[index]
        sd = rows.std(axis=-1, ddof=1)
        with np.errstate(divide="ignore", invalid="ignore"):  # a resample without spread has t = ±inf, or 0/0
            t = (
                (rows.mean(axis=-1) - theta)
                * math.sqrt(n)
                / np.where(sd > 1e-12 * np.abs(values).max(), sd, 0)
            )
        blocks.append((function(rows), np.nan_to_num(t, nan=0.0, posinf=np.inf, neginf=-np.inf)))
    drawn, t = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return _Draws(theta, drawn, t)


def _indices(n: int, resamples: int | Literal["exact"], rng: Random | None) -> list[np.ndarray]:
    if resamples == "exact":
        if n**n > _EXACT:
            raise ValueError(f"resamples='exact' counts up to {_EXACT} resamples; n = {n} has {n**n}")
        return [np.indices((n,) * n).reshape(n, -1).T]
    total = check_count(resamples, "resamples", least=99)
    chance = generator(rng, "resamples are drawn at random")
    sizes = [min(_BLOCK // n + 1, total - done) for done in range(0, total, _BLOCK // n + 1)]
    return [chance.integers(0, n, size=(rows, n)) for rows in sizes]


def _limits(
    values: np.ndarray,
    draws: _Draws,
    level: float,
    method: str,
    name: str,
    function: Callable[[np.ndarray], np.ndarray],
) -> tuple[float, float, float | None, float | None, str]:
    """Low, high, z0, acceleration, and the method that was used in the end."""
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    if method == "percentile":
        low, high = _quantiles(draws.values, tails)
    elif method == "basic":
        high, low = 2 * draws.theta - _quantiles(draws.values, tails)
    elif method == "studentized":
        high, low = draws.theta - _quantiles(draws.t, tails) * values.std(ddof=1) / math.sqrt(len(values))
    else:
        z0, a = _bias(draws), _acceleration(values, function)
        if math.isfinite(z0) and math.isfinite(a):
            z = z0 + ndtri(tails)
            low, high = _quantiles(draws.values, ndtr(z0 + z / (1 - a * z)))
            return float(low), float(high), z0, a, method
        half = float(stdtrit(len(values) - 1, tails[1])) * float(draws.values.std())
        return draws.theta - half, draws.theta + half, None, None, "t with the standard error of the"
    return float(low), float(high), None, None, method


def _quantiles(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # between two infinite values
        found = np.quantile(values, shares)
    return np.where(np.isnan(found), np.array([-np.inf, np.inf]), found)


def _bias(draws: _Draws) -> float:
    """z0: how far the resamples lie to one side of the estimate, ties counted half."""
    slack = 1e-12 * float(np.abs(draws.values).max())
    below = np.count_nonzero(draws.values < draws.theta - slack)
    up_to = np.count_nonzero(draws.values <= draws.theta + slack)
    return float(ndtri((below + up_to) / (2 * len(draws.values))))


def _acceleration(values: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> float:
    """A sixth of the skewness of the centred jackknife influences; NaN where they are all 0."""
    n = len(values)
    left_out = function(np.array([np.delete(values, i) for i in range(n)]))
    u = left_out.mean() - left_out
    squares = float((u**2).sum())
    return float((u**3).sum()) / (6 * squares**1.5) if not constant(left_out) else math.nan
