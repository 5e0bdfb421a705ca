"""Records that hold arrays: one entry per contrast, per look, per checkpoint or per number of trials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairtrial.stats.records import HolmStep, Record


@dataclass(frozen=True, kw_only=True, eq=False)
class Adjusted(Record):
    """Adjusted p values of a family of n contrasts, arrays in input order."""

    n: int
    alpha: float
    p: np.ndarray
    adjusted_p: np.ndarray
    reject: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Holm(Adjusted):
    """Also the step at which each contrast was decided, and 1 - alpha / (n - step + 1)."""

    step: np.ndarray
    step_level: np.ndarray

    def at(self, index: int) -> HolmStep:
        """The row of one contrast, as `verdict` takes it."""
        return HolmStep(
            p=float(self.p[index]),
            adjusted_p=float(self.adjusted_p[index]),
            reject=bool(self.reject[index]),
            step=int(self.step[index]),
            family=self.n,
            step_level=float(self.step_level[index]),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class WestfallYoung(Record):
    """Step-down p values of m contrasts over n shared seeds; `t` is absolute. Arrays in input order."""

    n: int
    t: np.ndarray
    raw_p: np.ndarray
    adjusted_p: np.ndarray
    exact: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class ConfidenceSequence(Record):
    """Limits after each difference: entry i belongs to the first n[i] of them."""

    level: float
    n: np.ndarray
    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    e_value: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Band(Record):
    """A mean curve, its simultaneous band and the pointwise one; `auc` is the area below each curve."""

    n: int
    level: float
    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    pointwise_low: np.ndarray
    pointwise_high: np.ndarray
    auc: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class ExpectedBest(Record):
    """The expected best of k of n trials: arrays over k, or numbers where one k was asked for."""

    n: int
    level: float
    k: np.ndarray | int
    estimate: np.ndarray | float
    low: np.ndarray | float
    high: np.ndarray | float


@dataclass(frozen=True, kw_only=True, eq=False)
class RowIntervals(Record):
    """An interval per row of a table: arrays in row order; `n` is what one row holds.

    A row without an interval has the limits -inf and inf, and the warnings count such rows.
    """

    n: int
    level: float
    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class StudentRows(RowIntervals):
    """Also what Student's t says of 0 in each row; `se` and `df` are on the scale named in `method`."""

    se: np.ndarray
    df: np.ndarray
    t: np.ndarray
    p: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class EquivalenceRows(RowIntervals):
    """Two one-sided tests per row; `equivalent`: the interval lies strictly inside the margin."""

    margin: tuple[float, float]
    p: np.ndarray
    equivalent: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class BandRows(Record):
    """Mean curve, simultaneous and pointwise limits of each table of curves: arrays (rows, checkpoints)."""

    n: int
    level: float
    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    pointwise_low: np.ndarray
    pointwise_high: np.ndarray
