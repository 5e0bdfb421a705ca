"""Bootstrap intervals, for ten units or more: opt-in, never chosen silently."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from fairtrial.stats.inputs import Random, Values, constant, generator, sample
from fairtrial.stats.records import BootstrapInterval
from fairtrial.stats.rules import check_count, check_share

Statistic: TypeAlias = str | Callable[[np.ndarray], float]
Rows: TypeAlias = Callable[[np.ndarray], np.ndarray]

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
    theta = float(function(values[None])[0])
    drawn_value = partial(_t_values, theta=theta) if method == "studentized" else function
    drawn = np.concatenate([drawn_value(values[rows]) for rows in _indices(len(values), resamples, rng)])
    z0, a = (_bias(drawn, theta), _acceleration(values, function)) if method == "bca" else (None, None)
    used, warnings = method, [] if len(values) >= 10 else [f"under-covers at this n = {len(values)}"]
    if z0 is not None and a is not None and not math.isfinite(z0 + a):
        used, z0, a = "standard-error", None, None
        warnings.append("bca is not defined for these values: t with the bootstrap standard error instead")
    low, high = _limits(values, drawn, theta, level, used, z0, a)
    if constant(values) or not 1e-12 * np.abs(values).max() < high - low < math.inf:
        low, high = -math.inf, math.inf
        warnings.append("no interval: zero observed variance")
    return BootstrapInterval(
        estimate=theta,
        low=low,
        high=high,
        level=level,
        method=f"{used} bootstrap of the {name}{', all resamples' if resamples == 'exact' else ''}",
        n=len(values),
        unit=unit,
        scope=scope,
        warnings=tuple(warnings),
        z0=z0,
        acceleration=a,
        resamples=len(drawn),
    )


def _statistic(statistic: Statistic, method: str) -> tuple[str, Rows]:
    """A name, and a function of (rows, n) -> (rows,)."""
    if method not in _METHODS:
        raise ValueError(f"unknown method {method!r}; known: {', '.join(_METHODS)}")
    if isinstance(statistic, str) and statistic not in _NAMED:
        raise ValueError(f"unknown statistic {statistic!r}; known: {', '.join(_NAMED)}, or a function")
    name = next((name for name, known in _NAMED.items() if statistic in (name, known)), "")
    if method == "bca" and name in _ROUGH:
        raise ValueError(f"bca has no jackknife for the {name}: use median_interval, or method='percentile'")
    if method == "studentized" and name != "mean":
        raise ValueError("method='studentized' knows the standard error of the mean only")
    if name:
        return name, partial(_NAMED[name], axis=-1)
    own: Any = statistic
    return getattr(own, "__name__", "statistic"), lambda rows: np.array([float(own(row)) for row in rows])


def _indices(n: int, resamples: int | Literal["exact"], rng: Random | None) -> Iterator[np.ndarray]:
    """(rows, n) positions, in blocks that fit in memory."""
    if resamples == "exact":
        if n**n > _EXACT:
            raise ValueError(f"resamples='exact' counts up to {_EXACT} resamples; n = {n} has {n**n}")
        yield np.indices((n,) * n).reshape(n, -1).T
        return
    left, block = check_count(resamples, "resamples", least=99), _BLOCK // n + 1
    chance = generator(rng, "resamples are drawn at random")
    while left > 0:
        yield chance.integers(0, n, size=(min(left, block), n))
        left -= block


def _t_values(rows: np.ndarray, theta: float) -> np.ndarray:
    """The t value of each resample; one without spread has ±inf, or 0 where it sits on the estimate."""
    gap = (rows.mean(axis=-1) - theta) * math.sqrt(rows.shape[-1])
    sd, size = rows.std(axis=-1, ddof=1), 1e-12 * float(np.abs(rows).max())
    beyond = np.where(np.abs(gap) > size, np.copysign(np.inf, gap), 0.0)
    return np.where(sd > size, gap / np.where(sd > size, sd, 1), beyond)


def _limits(
    values: np.ndarray,
    drawn: np.ndarray,
    theta: float,
    level: float,
    method: str,
    z0: float | None,
    a: float | None,
) -> tuple[float, float]:
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    se = float(values.std(ddof=1)) / math.sqrt(len(values))
    if method == "percentile":
        low, high = _quantiles(drawn, tails)
    elif method == "basic":
        high, low = 2 * theta - _quantiles(drawn, tails)
    elif method == "studentized":
        high, low = theta - _quantiles(drawn, tails) * se
    elif z0 is not None and a is not None:
        z = z0 + ndtri(tails)
        low, high = _quantiles(drawn, ndtr(z0 + z / (1 - a * z)))
    else:
        low, high = theta + stdtrit(len(values) - 1, tails) * drawn.std()
    return float(low), float(high)


def _quantiles(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # between two infinite values
        found = np.quantile(values, shares)
    return np.where(np.isnan(found), np.array([-np.inf, np.inf]), found)


def _bias(drawn: np.ndarray, theta: float) -> float:
    """z0: how far the resamples lie to one side of the estimate, ties counted half."""
    slack = 1e-12 * float(np.abs(drawn).max())  # the same values in another order still tie
    below = np.count_nonzero(drawn < theta - slack)
    up_to = np.count_nonzero(drawn <= theta + slack)
    return float(ndtri((below + up_to) / (2 * len(drawn))))


def _acceleration(values: np.ndarray, function: Rows) -> float:
    """A sixth of the skewness of the centred jackknife influences; NaN where they are all 0."""
    left_out = function(np.array([np.delete(values, i) for i in range(len(values))]))
    u = left_out.mean() - left_out
    return math.nan if constant(left_out) else float((u**3).sum() / (6 * (u**2).sum() ** 1.5))
