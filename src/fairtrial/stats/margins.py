"""The margin of equivalence: a difference inside it does not matter."""

from __future__ import annotations

import math
from typing import TypeAlias

Margin: TypeAlias = float | tuple[float, float]


def limits(margin: Margin) -> tuple[float, float]:
    """(low, high) of a margin: delta stands for (-delta, delta).

    Raises ValueError unless low < 0 < high: the margin of a ratio is given by its logarithms.
    """
    low, high = margin if isinstance(margin, tuple | list) else (-margin, margin)
    if not (math.isfinite(low) and math.isfinite(high) and low < 0 < high):
        raise ValueError(
            f"margin is a number above 0, or (low, high) around 0 (logs for a ratio); got {margin!r}"
        )
    return float(low), float(high)
