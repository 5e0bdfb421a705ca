"""Checks of single numbers, without numpy: planning must answer at once."""

from __future__ import annotations

import math


def check_share(value: float, name: str, *, below: float = 1.0) -> None:
    """Levels, alphas and powers lie strictly between 0 and `below`."""
    if not 0 < value < below:
        raise ValueError(f"{name} lies strictly between 0 and {below:g}; got {value!r}")


def check_count(value: int, name: str, *, least: int) -> int:
    """The value as an int; anything that is not a whole number of at least `least` is refused."""
    if isinstance(value, bool) or value != value or math.isinf(value) or int(value) != value:
        raise ValueError(f"{name} is a whole number; got {value!r}")
    if value < least:
        raise ValueError(f"{name} is at least {least}; got {value!r}")
    return int(value)
