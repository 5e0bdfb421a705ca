"""The interval of a standard deviation."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping

import numpy as np
from scipy.special import chdtri

from fairtrial.stats.inputs import constant
from fairtrial.stats.records import MeanInterval
from fairtrial.stats.rules import check_share


def sd_interval(
    values: Mapping[int, float],
    level: float = 0.95,
    *,
    groups: Mapping[int, Hashable] | None = None,
    unit: str = "seed",
    scope: str = "this test set",
) -> MeanInterval:
    """The chi-squared interval of a standard deviation: s·√(v/χ²(1-α/2, v)) .. s·√(v/χ²(α/2, v)).

    values: unit -> value. groups: unit -> its group; s then pools the spread within groups, and v = n minus
    the number of groups. `estimate` and `sd` are s, `se` is s/√(2v). v < 2 or no spread: no interval.
    STATISTICS 3; the values are taken as normal.
    """
    check_share(level, "level")
    members: dict[Hashable, list[float]] = {}
    for key, value in values.items():
        members.setdefault(None if groups is None else groups[key], []).append(float(value))
    v = len(values) - len(members)
    flat = all(constant(np.asarray(each)) for each in members.values())
    squares = sum(float(np.sum((np.asarray(each) - np.mean(each)) ** 2)) for each in members.values())
    s = math.sqrt(squares / v) if v > 0 and not flat else 0.0 if v > 0 else math.inf
    low, high = -math.inf, math.inf
    warnings: tuple[str, ...] = ()
    if v < 2 or flat:
        why = "fewer than 3 replication units" if v < 2 else "zero observed variance"
        warnings = (f"no interval: {why}",)
    else:
        tail = (1 - level) / 2
        low, high = (s * math.sqrt(v / chdtri(v, p)) for p in (tail, 1 - tail))
    return MeanInterval(
        estimate=s,
        low=low,
        high=high,
        level=level,
        sd=s,
        se=s / math.sqrt(2 * v) if v > 0 else math.inf,
        df=v,
        method="chi-squared" + ("" if groups is None else ", within groups"),
        n=len(values),
        unit=unit,
        scope=scope,
        warnings=warnings,
    )
