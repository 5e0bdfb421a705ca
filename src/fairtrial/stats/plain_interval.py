"""Student's interval of a mean without numpy and scipy: a status answers before those are loaded."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fairtrial.stats.noncentral import critical
from fairtrial.stats.rules import TINY
from fairtrial.study.limits import MIN_UNITS


def mean_of(values: Sequence[float]) -> float:
    """Return the mean of one value or more; `statistics` would load fractions for it."""
    return math.fsum(values) / len(values)


def mean_limits(values: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """Return the limits of `mean_interval`; None where that has none: too few units, or no variance."""
    n = len(values)
    if n < MIN_UNITS:
        return None
    mean = mean_of(values)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    if not sd > TINY * max(map(abs, values)):
        return None
    half = critical(1 - level, n - 1) * sd / math.sqrt(n)
    return mean - half, mean + half
