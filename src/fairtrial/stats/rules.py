"""Checks of single numbers, and the reasons for no interval, without numpy: planning must answer at once."""

from __future__ import annotations

import math
from typing import Any, Final, TypeAlias

from fairtrial.study.limits import MIN_UNITS

_FEW_UNITS: Final = f"no interval: fewer than {MIN_UNITS} replication units"
_NO_VARIANCE: Final = "no interval: zero observed variance"
_ROUNDING: Final = 1e-12  # of the largest input

Margin: TypeAlias = float | tuple[float, float]


def no_interval(n: int, *, flat: bool) -> str:
    """Return why n units have no interval; empty where they have one. flat: they show no variance."""
    return _FEW_UNITS if n < MIN_UNITS else _NO_VARIANCE if flat else ""


def is_rounding(sd: Any, largest: Any) -> Any:
    """Return whether a standard deviation, or each of an array of them, is rounding and no variance.

    largest: the size of what the values were made from.
    """
    return sd <= _ROUNDING * largest


def check_share(value: float, name: str, *, below: float = 1.0) -> None:
    """Raise ValueError unless a level, an alpha or a power lies strictly between 0 and `below`."""
    if not 0 < value < below:
        raise ValueError(f"{name} lies strictly between 0 and {below:g}; got {value!r}")


def check_count(value: int, name: str, *, least: int) -> int:
    """Return the value as an int; raise ValueError for anything but a whole number of at least `least`."""
    if isinstance(value, bool) or value != value or math.isinf(value) or int(value) != value:
        raise ValueError(f"{name} is a whole number; got {value!r}")
    if value < least:
        raise ValueError(f"{name} is at least {least}; got {value!r}")
    return int(value)


def limits(margin: Margin) -> tuple[float, float]:
    """Return (low, high) of a margin of equivalence; delta stands for (-delta, delta).

    Raises ValueError unless low < 0 < high: the margin of a ratio is given by its logarithms.
    """
    low, high = margin if isinstance(margin, tuple | list) else (-margin, margin)
    if not (math.isfinite(low) and math.isfinite(high) and low < 0 < high):
        raise ValueError(
            f"margin is a number above 0, or (low, high) around 0 (logs for a ratio); got {margin!r}"
        )
    return float(low), float(high)
