"""Whether an arm was trained at all within its budget: what its loss and its accuracy did at the end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final

import numpy as np
import pandas as pd

from fairtrial.reporting.results.load import Results
from fairtrial.reporting.wording import listed
from fairtrial.storage.record import Attempt
from fairtrial.study.contrast import corners
from fairtrial.study.factors import spaced
from fairtrial.study.study import Contrast, regime_of

LOSS_SHARE: Final = 0.5  # of ln(classes), the loss of a guess
GAIN_LIMIT: Final = 0.01  # of validation accuracy
LAST_PART: Final = 0.25  # of the schedule


@dataclass(frozen=True)
class Convergence:
    """Means over the finished runs of one arm; None where no run recorded it (STATISTICS 17.8).

    train_loss: final. loss_limit: above it the loss is that of an arm that has not learnt. gain: the rise of
    the validation accuracy in the last quarter of the schedule.
    """

    train_loss: float | None
    loss_limit: float | None
    gain: float | None

    @property
    def converged(self) -> bool:
        """Whether neither number says that the budget was too small."""
        learnt = self.train_loss is None or self.loss_limit is None or self.train_loss <= self.loss_limit
        return learnt and (self.gain is None or self.gain <= GAIN_LIMIT)


def convergence(results: Results, cells: pd.DataFrame) -> Convergence:
    """Return what the finished cells of one arm say."""
    return _said([results.records[cell] for cell in cells["cell"] if cell in results.records])


def _said(records: Sequence[Attempt]) -> Convergence:
    measured = [record.measured for record in records if record.status == "done"]
    limits = [LOSS_SHARE * math.log(one.classes) for one in measured if one.classes]
    return Convergence(
        _mean([one.train_loss for one in measured if one.train_loss is not None]),
        _mean(limits),
        _mean([gain for record in records if (gain := _gain(record)) is not None]),
    )


def converges_at(results: Results, levels: Mapping[str, Any]) -> str:
    """Return '0.3', the most accurate setting not chosen at which an arm converges; empty where none is."""
    stage, arm = results.tuning, regime_of(levels)
    choices = (
        {} if stage is None else {key: one.params for key, one in stage.choices.items() if key[1] == arm}
    )
    tried = [one for key in choices for one in stage.trials[key]] if stage else []
    others = [one for one in tried if one.params not in choices.values() and not one.failed]
    ended = [(one, _said(one.runs)) for one in others]
    fit = [one for one, end in ended if end.train_loss is not None and end.converged]
    best = max(fit, key=lambda trial: fmean(trial.accuracies), default=None)
    return "" if best is None else listed([f"{value:g}" for value in best.params.values()])


def unfinished(results: Results, contrast: Contrast) -> Iterator[str]:
    """Yield 'control not converged at this budget' where an arm of a side was hardly trained.

    Where each such arm of a side converges at another setting tried, it is not the budget that is too small:
    'control converged at another lr tried, not at the chosen one'.
    """
    names, tuning = list(results.study.factors), results.study.tuning
    lacking: dict[str, set[bool]] = {}  # side -> of its arms that did not converge, whether they do elsewhere
    for corner, levels in enumerate(corners(contrast)):
        for key, cells in results.where(levels).groupby(names, dropna=False, sort=False):
            if not convergence(results, cells).converged:
                elsewhere = bool(converges_at(results, dict(zip(names, key, strict=True))))
                lacking.setdefault(("treatment", "control")[corner % 2], set()).add(elsewhere)
    for elsewhere in (False, True):
        sides = [side for side, kinds in lacking.items() if all(kinds) == elsewhere]
        if sides and elsewhere and tuning is not None:
            setting = spaced(listed(list(tuning.names)))
            who = "both" if len(sides) == 2 else sides[0]
            yield f"{who} converged at another {setting} tried, not at the chosen one"
        elif sides:
            who = "neither converged" if len(sides) == 2 else f"{sides[0]} not converged"
            yield f"{who} at this budget"


def _gain(record: Attempt) -> float | None:
    """Return the rise of one curve, straight between points; None without one before the last part."""
    curve, steps = record.measured.val_curve, record.spent.steps
    if record.status != "done" or not curve or curve[0][0] > (1 - LAST_PART) * steps or len(curve) < 2:
        return None
    at, accuracy = [point[0] for point in curve], [point[1] for point in curve]
    return accuracy[-1] - float(np.interp((1 - LAST_PART) * steps, at, accuracy))


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
