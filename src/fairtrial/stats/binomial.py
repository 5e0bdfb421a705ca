"""Limits that follow from the binomial law: those of a median and of a proportion."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import bdtr, betaincinv, ndtri

from fairtrial.stats.inputs import Values, constant, sample
from fairtrial.stats.records import MedianInterval, Proportion
from fairtrial.stats.rules import check_count, check_share


def median_interval(
    x: Values, level: float = 0.95, *, unit: str = "seed", scope: str = "this test set"
) -> MedianInterval:
    """The median between order statistics (x_(r), x_(n+1-r)); no law is assumed, ties are allowed.

    r is the largest rank with 1 - 2 · BinCDF(r-1; n, 1/2) >= level, and `level` of the record is that
    coverage. Where even min..max falls short (n < 6 at 95 %) it is returned with its true level and a
    warning. n < 3 or zero variance: no interval, ranks None.
    """
    check_share(level, "level")
    values = np.sort(sample(x, "x"))
    n = len(values)
    r, coverage = rank(n, level)
    low, high = float(values[r - 1]), float(values[n - r])
    warnings: tuple[str, ...] = ()
    if n < 3 or constant(values):
        why = "fewer than 3 replication units" if n < 3 else "zero observed variance"
        low, high, coverage, warnings = -math.inf, math.inf, level, (f"no interval: {why}",)
    elif coverage < level:
        warnings = (f"{100 * level:g} % not attainable at n = {n}: min..max covers {100 * coverage:.5g} %",)
    return MedianInterval(
        estimate=float(np.median(values)),
        low=low,
        high=high,
        level=coverage,
        method="order statistics",
        n=n,
        unit=unit,
        scope=scope,
        warnings=warnings,
        ranks=(r, n + 1 - r) if math.isfinite(low) else None,
        asked=level,
    )


def rank(n: int, level: float) -> tuple[int, float]:
    """The largest rank that keeps the level (1 when none does) and its exact coverage."""
    coverage = 1 - 2 * bdtr(np.arange((n + 1) // 2), n, 0.5)
    r = max(1, int(np.count_nonzero(coverage >= level - 1e-12)))
    return r, float(coverage[r - 1])


def wilson(
    k: int, n: int, level: float = 0.95, *, unit: str = "seed", scope: str = "this test set"
) -> Proportion:
    """Wilson's score interval of a proportion k / n (Wilson 1927); valid from n = 1.

    k outside 0..n or n = 0 raises ValueError.
    """
    k, n = _counts(k, n, level)
    low, high = wilson_limits(np.array(float(k)), n, level)
    return _proportion(k, n, float(low), float(high), level, "Wilson score", unit, scope)


def wilson_limits(k: np.ndarray, n: float, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Limits for each of the counts, given as floats."""
    z2 = float(ndtri(0.5 + level / 2)) ** 2
    centre = (k + z2 / 2) / (n + z2)
    half = np.sqrt(z2 * (k * (n - k) / n + z2 / 4)) / (n + z2)
    return np.where(k > 0, centre - half, 0.0), np.where(k < n, centre + half, 1.0)


def clopper_pearson(
    k: int, n: int, level: float = 0.95, *, unit: str = "seed", scope: str = "this test set"
) -> Proportion:
    """The exact interval of a proportion k / n (Clopper & Pearson 1934); valid from n = 1.

    Limits are beta quantiles, two-sided; low is exactly 0 at k = 0 and high exactly 1 at k = n. k outside
    0..n or n = 0 raises ValueError.
    """
    k, n = _counts(k, n, level)
    low, high = clopper_pearson_limits(np.array(float(k)), n, level)
    return _proportion(k, n, float(low), float(high), level, "Clopper-Pearson", unit, scope)


def clopper_pearson_limits(k: np.ndarray, n: float, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Limits for each of the counts, given as floats."""
    tail = (1 - level) / 2
    low = betaincinv(np.maximum(k, 1), n - k + 1, tail)
    high = betaincinv(k + 1, np.maximum(n - k, 1), 1 - tail)
    return np.where(k > 0, low, 0.0), np.where(k < n, high, 1.0)


def _counts(k: int, n: int, level: float) -> tuple[int, int]:
    check_share(level, "level")
    k, n = check_count(k, "k", least=0), check_count(n, "n", least=1)
    if k > n:
        raise ValueError(f"k lies in 0..n; got k = {k}, n = {n}")
    return k, n


def _proportion(
    k: int, n: int, low: float, high: float, level: float, method: str, unit: str, scope: str
) -> Proportion:
    share = k / n
    return Proportion(
        estimate=share,
        low=low,
        high=high,
        level=level,
        method=method,
        n=n,
        unit=unit,
        scope=scope,
        k=k,
        se=math.sqrt(share * (1 - share) / n),
    )
