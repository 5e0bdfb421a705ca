"""Standardized differences, with limits from the noncentral t."""

from __future__ import annotations

import math

import numpy as np

from fairtrial.stats.inputs import Groups, Values, constant, joined, sample
from fairtrial.stats.noncentral import upper_tail
from fairtrial.stats.records import EffectSize
from fairtrial.stats.rules import check_share


def hedges_g(
    a: Values,
    b: Values,
    level: float = 0.95,
    *,
    paired: bool = False,
    groups: Groups | None = None,
    unit: str = "seed",
    scope: str = "this test set",
) -> EffectSize:
    """Hedges' g = J(v)·d, with J(v) = Γ(v/2) / (√(v/2)·Γ((v-1)/2)) exactly (Hedges 1981).

    Two samples: d = (m_a - m_b) / s_pooled, v = n_a + n_b - 2. paired: d = d̄ / s_d, v = n - 1;
    groups: a label per pair, averaged inside each label first, and n is the number of labels.
    low and high invert the noncentral t for the effect d and are not multiplied by J.
    Zero variance or v < 2 raises ValueError; an arm with n < 3 gets no interval.
    """
    check_share(level, "level")
    if groups is not None and not paired:
        raise ValueError("groups are labels of pairs: average unpaired samples before they come here")
    if paired:
        first, second = joined({"a": a, "b": b}, groups)
        d, df, root_n = _standardized(first - second, first, second), len(first) - 1, math.sqrt(len(first))
    else:
        first, second = sample(a, "a"), sample(b, "b")
        d, df = _pooled(first, second), len(first) + len(second) - 2
        root_n = math.sqrt(len(first) * len(second) / (len(first) + len(second)))
    enough = min(len(first), len(second)) >= 3
    low, high = _invert(d * root_n, df, level) if enough else (-math.inf, math.inf)
    return EffectSize(
        estimate=_correction(df) * d,
        low=low / root_n,
        high=high / root_n,
        level=level,
        method=f"Hedges g{', paired' if paired else ''}; limits of d by the noncentral t",
        n=len(first) if paired else len(first) + len(second),
        unit=unit,
        scope=scope,
        warnings=() if enough else ("no interval: fewer than 3 replication units",),
        d=d,
        df=df,
    )


def _standardized(values: np.ndarray, *inputs: np.ndarray) -> float:
    if len(values) < 3:
        raise ValueError(f"a standardized paired difference needs 3 pairs; got {len(values)}")
    if constant(values, *inputs):
        raise ValueError("a and b differ by a constant: zero variance has no standardized difference")
    return float(values.mean() / values.std(ddof=1))


def _pooled(a: np.ndarray, b: np.ndarray) -> float:
    df = len(a) + len(b) - 2
    if df < 2:
        raise ValueError(f"a standardized difference needs 4 values in all; got {len(a)} and {len(b)}")
    if constant(a) and constant(b):
        raise ValueError("a and b are both constant: zero variance has no standardized difference")
    squares = sum(float(((x - x.mean()) ** 2).sum()) for x in (a, b))
    return float(a.mean() - b.mean()) / math.sqrt(squares / df)


def _correction(df: float) -> float:
    return math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)


def _invert(t: float, df: float, level: float) -> tuple[float, float]:
    """The noncentralities under which t cuts off (1 - level)/2 above, and below."""
    tail = (1 - level) / 2
    return _noncentrality(t, df, tail), _noncentrality(t, df, 1 - tail)


def _noncentrality(t: float, df: float, share: float) -> float:
    """The nc with P(T > t) = share: it rises with nc, and the bracket grows until it holds the root."""
    low, high, width = t - 1, t + 1, 1.0
    while upper_tail(t, df, low) > share:
        low, width = low - width, 2 * width
    width = 1.0
    while upper_tail(t, df, high) < share:
        high, width = high + width, 2 * width
    while high - low > 1e-12 * max(1.0, abs(low), abs(high)):
        middle = (low + high) / 2
        low, high = (middle, high) if upper_tail(t, df, middle) < share else (low, middle)
    return (low + high) / 2
