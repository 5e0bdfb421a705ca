"""Student's t interval of a mean, which most of this package rests on.

Limits take neither numpy nor scipy, for a status shows them; a p value loads scipy when it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
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
    warnings: tuple[str, ...]

    @cached_property
    def p(self) -> float:
        """Two-sided, against 0."""
        return 1.0 if self.warnings else 2 * t_cdf(-abs(self.t), self.df)

    def interval(self) -> dict[str, Any]:
        """Return the fields of an `Interval`, but for method, unit and scope."""
        names = ("n", "level", "estimate", "low", "high", "warnings")
        return {name: getattr(self, name) for name in names}

    def mean(self) -> dict[str, Any]:
        """Return the fields of a `MeanInterval`, but for method, unit and scope."""
        return {**self.interval(), "sd": self.sd, "se": self.se, "df": self.df}


def fit_mean(values: Sequence[float] | np.ndarray, level: float, *inputs: Iterable[float]) -> Fit:
    """Return m ± t(level, n-1) · s / √n of (n,) values, n >= 1.

    inputs: what the values were made from; their rounding is no variance.
    """
    n, mean = len(values), mean_of(values)
    sd = math.hypot(*(value - mean for value in values)) / math.sqrt(n - 1) if n > 1 else math.inf
    largest = max(max(map(abs, each)) for each in inputs or (values,))
    warning = no_interval(n, flat=is_rounding(sd, largest))
    return fit_t(mean, sd / math.sqrt(n), n - 1, level, n=n, sd=sd, warning=warning)


def fit_t(
    estimate: float, se: float, df: float, level: float, *, n: int, sd: float = math.nan, warning: str = ""
) -> Fit:
    """Return estimate ± t(level, df) · se; no interval where a warning says why."""
    t, half = (0.0, math.inf) if warning else (estimate / se, t_quantile(0.5 + level / 2, df) * se)
    warnings = (warning,) if warning else ()
    return Fit(n, level, estimate, estimate - half, estimate + half, sd, se, df, t, warnings)


def t_cdf(t: float, df: float) -> float:
    """Return P(T <= t)."""
    from scipy.special import stdtr

    return float(stdtr(df, t))


def t_quantile(p: float, df: float) -> float:
    """Return the t with P(T <= t) = p."""
    return math.copysign(critical(2 * min(p, 1 - p), df), p - 0.5)


def mean_of(values: Sequence[float] | np.ndarray) -> float:
    """Return the mean of one value or more; `statistics` would load fractions for it."""
    return math.fsum(values) / len(values)
