"""How wide the range of settings is that come close to the best one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

# A score that lies below the limit by less than this is a matter of rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class Plateau:
    """The range around the best setting. at_low, at_high: it reaches that end of the grid, and may go on."""

    low: float
    high: float
    at_low: bool
    at_high: bool

    @property
    def width(self) -> float:
        """In decades: log10 of high / low."""
        return math.log10(self.high / self.low)

    @property
    def factor(self) -> float:
        """High over low."""
        return self.high / self.low


def plateau(values: Sequence[float], scores: Sequence[float], *, within: float = 0.01) -> Plateau:
    """Return the unbroken range around the best value whose score is at most `within` below the best.

    values: (k,) of a grid, above 0 and ascending. scores: (k,), higher is better; straight lines over the
    logarithm of the value between them. Of equally good values the smallest counts as the best. The range
    ends at the ends of the grid. Anything else raises ValueError. STATISTICS 17.1.
    """
    if len(values) != len(scores) or not scores:
        raise ValueError(f"a score for each value; got {len(values)} values and {len(scores)} scores")
    if values[0] <= 0 or any(b <= a for a, b in pairwise(values)):
        raise ValueError(f"values are above 0 and ascending; got {list(values)}")
    if not all(map(math.isfinite, scores)):
        raise ValueError(f"scores are finite; got {list(scores)}")
    best = max(range(len(scores)), key=lambda index: scores[index])
    floor = scores[best] - within
    low, at_low = _end(values[best::-1], scores[best::-1], floor)
    high, at_high = _end(values[best:], scores[best:], floor)
    return Plateau(low=low, high=high, at_low=at_low, at_high=at_high)


def _end(values: Sequence[float], scores: Sequence[float], floor: float) -> tuple[float, bool]:
    """Return where the scores first fall below the floor, and whether they never do."""
    points = zip(map(math.log, values), scores, strict=True)
    for (x, y), (beyond, lower) in pairwise(points):
        if lower < floor - _ROUNDING:
            return math.exp(x + (beyond - x) * (y - floor) / (y - lower)), False
    return values[-1], True
