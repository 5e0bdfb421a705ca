"""What tuning on a grid saw: each arm on validation images at every value, at every tuning seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from fairtrial.reporting.results.arms import identity
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.wording import clean, listed
from fairtrial.stats import mean_interval, paired_interval, plateau
from fairtrial.stats.records import MeanInterval
from fairtrial.stats.robustness import Plateau
from fairtrial.study import factors
from fairtrial.study.failure_policy import chance
from fairtrial.study.limits import MIN_UNITS
from fairtrial.study.study import Contrast, regime_of
from fairtrial.tuning.selection import Trial

UNIT: Final = "tuning seed"


@dataclass(frozen=True)
class Spread:
    """A mean over tuning seeds and its limits: a 95 % t interval, or the least and the most of few seeds."""

    mean: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, fit: MeanInterval, values: Sequence[float]) -> Spread:
        """Return the interval of these values; NaN limits where none can be had of three seeds or more."""
        if len(values) < MIN_UNITS:
            return cls(fit.estimate, min(values), max(values), len(values))
        low, high = (limit if math.isfinite(limit) else math.nan for limit in (fit.low, fit.high))
        return cls(fit.estimate, low, high, len(values))


def spread(values: Sequence[float]) -> Spread:
    """Return the mean of a value for each tuning seed with its limits."""
    return Spread.of(mean_interval(np.asarray(values, dtype=float), unit=UNIT), values)


@dataclass(frozen=True, eq=False)
class RateCurve:
    """One arm over the grid.

    grid: (k,), ascending. accuracy, loss: (seeds, k), chance where the run diverged; diverged: (seeds, k).
    chosen: what the search of each seed chose. look: the levels that decide its colour. chance_loss: the loss
    of a guess among equal classes.
    """

    levels: dict[str, Any]
    look: dict[str, Any]
    grid: tuple[float, ...]
    accuracy: np.ndarray
    loss: np.ndarray
    diverged: np.ndarray
    chosen: tuple[float, ...]
    val_n: int | None
    chance_loss: float

    @property
    def label(self) -> str:
        """The arm in words."""
        return clean(factors.label(self.levels))

    @property
    def choices(self) -> str:
        """'0.3'; '0.1 and 0.3' of searches that differ."""
        return listed([f"{value:g}" for value in sorted(set(self.chosen))])

    @cached_property
    def at_chosen(self) -> np.ndarray:
        """The accuracy of each seed at what its own search chose."""
        return np.array([row[self.grid.index(v)] for row, v in zip(self.accuracy, self.chosen, strict=True)])

    @cached_property
    def plateau(self) -> Plateau:
        """The range within a point of the best mean accuracy."""
        return plateau(self.grid, self.accuracy.mean(axis=0).tolist())

    @cached_property
    def width_of_a_seed(self) -> Spread:
        """The width in decades of the curve of each seed by itself; limits stay between 0 and the grid's."""
        found = spread([plateau(self.grid, row).width for row in self.accuracy.tolist()])
        most = math.log10(self.grid[-1] / self.grid[0])
        low, high = (float(np.clip(limit, 0, most)) for limit in (found.low, found.high))
        return Spread(found.mean, low, high, found.n)


def rate_curves(results: Results) -> list[RateCurve]:
    """Return a curve for each arm, in declared order; none before tuning on a grid is complete."""
    stage, tuning = results.tuning, results.study.tuning
    if stage is None or tuning is None or not stage.grid or not stage.complete:
        return []
    (name,) = tuning.names
    curves = []
    for levels in results.study.arms():
        searches = [(index, regime_of(levels)) for index in range(tuning.studies)]
        trials = [sorted(stage.trials[key], key=lambda trial: trial.params[name]) for key in searches]
        classes = {trial.classes for each in trials for trial in each if trial.classes}
        if len(classes) != 1:  # not one of its runs got so far as to count them: nothing to show
            continue
        guess, lost = chance(classes.pop()), ~np.isfinite(_table(trials, lambda trial: trial.scores))
        chosen = [stage.choices[key].params[name] for key in searches for _ in range(tuning.seeds)]
        curves.append(
            RateCurve(
                levels,
                identity(results.study, levels),
                stage.grid,
                accuracy=np.where(lost, guess["val_acc"], _table(trials, lambda trial: trial.accuracies)),
                loss=np.where(lost, guess["test_loss"], _table(trials, lambda trial: trial.scores)),
                diverged=lost,
                chosen=tuple(chosen),
                val_n=trials[0][0].val_n,
                chance_loss=guess["test_loss"],
            )
        )
    return curves


def _table(searches: Sequence[Sequence[Trial]], read: Callable[[Trial], Sequence[float]]) -> np.ndarray:
    """Return (seeds, k): a row per tuning seed of every search."""
    return np.vstack([np.array([read(trial) for trial in trials]).T for trials in searches])


@dataclass(frozen=True, eq=False)
class RateContrast:
    """Treatment minus control on validation images. rate: the common one; None: each at its chosen rate."""

    contrast: Contrast
    rate: float | None
    chosen: tuple[str, str]
    treatment: float
    control: float
    difference: Spread


def rate_contrasts(curves: Sequence[RateCurve], contrast: Contrast) -> Iterator[RateContrast]:
    """Yield a simple contrast at each arm's chosen rate and at every common one, paired on tuning seeds.

    Arms that a side does not tell apart are averaged within a seed. Nothing for an interaction.
    """
    if contrast.by or not curves:
        return
    sides = [_side(curves, {**levels, **contrast.at}) for levels in (contrast.treatment, contrast.control)]
    if not all(sides):
        return
    chosen = tuple(listed(sorted({curve.choices for curve in side})) for side in sides)
    at_chosen = [np.mean([curve.at_chosen for curve in side], axis=0) for side in sides]
    yield _rate_contrast(contrast, None, chosen, *at_chosen)
    for place, rate in enumerate(curves[0].grid):
        at_rate = [np.mean([curve.accuracy[:, place] for curve in side], axis=0) for side in sides]
        yield _rate_contrast(contrast, rate, chosen, *at_rate)


def _side(curves: Sequence[RateCurve], levels: Mapping[str, Any]) -> list[RateCurve]:
    wanted = factors.identities(levels).items()
    return [curve for curve in curves if wanted <= factors.identities(curve.levels).items()]


def _rate_contrast(
    contrast: Contrast,
    rate: float | None,
    chosen: tuple[str, ...],
    treatment: np.ndarray,
    control: np.ndarray,
) -> RateContrast:
    difference = Spread.of(paired_interval(treatment, control, unit=UNIT), (treatment - control).tolist())
    return RateContrast(
        contrast, rate, (chosen[0], chosen[1]), float(treatment.mean()), float(control.mean()), difference
    )
