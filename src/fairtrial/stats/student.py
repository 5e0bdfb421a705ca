"""Student's t interval of a mean, which most of this package rests on.

numpy and scipy are loaded when they are first needed: a status answers before that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairtrial.stats.noncentral import critical
from fairtrial.stats.rules import is_rounding, no_interval

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Fit:
    """An estimate of n units with its t interval; without one, t = 0, p = 1 and the limits are infinite."""

    n: int
    level: float
    estimate: float
    low: float
    high: float
    sd: float
    se: float
    df: float
    t: float
    p: float
    warnings: tuple[str, ...]

    def interval(self) -> dict[str, Any]:
        """Return the fields of an `Interval`, but for method, unit and scope."""
        names = ("n", "level", "estimate", "low", "high", "warnings")
        return {name: getattr(self, name) for name in names}

    def mean(self) -> dict[str, Any]:
        """Return the fields of a `MeanInterval`, but for method, unit and scope."""
        return {**self.interval(), "sd": self.sd, "se": self.se, "df": self.df}


def fit_mean(values: np.ndarray, level: float, *inputs: np.ndarray) -> Fit:
    """Return m ± t(level, n-1) · s / √n of (n,) values.

    inputs: what the values were made from; their rounding is no variance.
    """
    from fairtrial.stats.inputs import constant

    n = len(values)
    sd = float(values.std(ddof=1)) if n > 1 else math.inf
    warning = no_interval(n, flat=constant(values, *inputs))
    return fit_t(float(values.mean()), sd / math.sqrt(n), n - 1, level, n=n, sd=sd, warning=warning)


def fit_t(
    estimate: float, se: float, df: float, level: float, *, n: int, sd: float = math.nan, warning: str = ""
) -> Fit:
    """Return estimate ± t(level, df) · se; no interval where a warning says why."""
    if warning:
        t, p, half = 0.0, 1.0, math.inf
    else:
        t, half = estimate / se, t_quantile(0.5 + level / 2, df) * se
        p = 2 * t_cdf(-abs(t), df)
    warnings = (warning,) if warning else ()
    return Fit(n, level, estimate, estimate - half, estimate + half, sd, se, df, t, p, warnings)


def t_cdf(t: float, df: float) -> float:
    """Return P(T <= t)."""
    from scipy.special import stdtr

    return float(stdtr(df, t))


def t_quantile(p: float, df: float) -> float:
    """Return the t with P(T <= t) = p."""
    from scipy.special import stdtrit

    return float(stdtrit(df, p))


def mean_of(values: Sequence[float]) -> float:
    """Return the mean of one value or more; `statistics` would load fractions for it."""
    return math.fsum(values) / len(values)


def mean_limits(values: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """Return the limits of `fit_mean` without numpy and scipy; None where it has none.

    A test holds the two equal to 12 digits.
    """
    if not values:
        return None
    n, mean = len(values), mean_of(values)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / max(1, n - 1))
    if no_interval(n, flat=is_rounding(sd, max(map(abs, values)))):
        return None
    half = critical(1 - level, n - 1) * sd / math.sqrt(n)
    return mean - half, mean + half
