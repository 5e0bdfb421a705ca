"""Student's t interval of a mean, which most of this package rests on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit

from fairtrial.stats.inputs import constant
from fairtrial.stats.rules import FEW_UNITS, NO_VARIANCE
from fairtrial.study.limits import MIN_UNITS


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
    n = len(values)
    sd = float(values.std(ddof=1)) if n > 1 else math.inf
    warning = FEW_UNITS if n < MIN_UNITS else NO_VARIANCE if constant(values, *inputs) else ""
    return fit_t(float(values.mean()), sd / math.sqrt(n), n - 1, level, n=n, sd=sd, warning=warning)


def fit_t(
    estimate: float, se: float, df: float, level: float, *, n: int, sd: float = math.nan, warning: str = ""
) -> Fit:
    """Return estimate ± t(level, df) · se; no interval where a warning says why."""
    if warning:
        t, p, half = 0.0, 1.0, math.inf
    else:
        t, half = estimate / se, float(stdtrit(df, 0.5 + level / 2)) * se
        p = 2 * float(stdtr(df, -abs(t)))
    warnings = (warning,) if warning else ()
    return Fit(n, level, estimate, estimate - half, estimate + half, sd, se, df, t, p, warnings)
