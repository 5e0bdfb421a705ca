"""Whether an arm was trained at all within its budget: what its loss and its accuracy did at the end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from fairtrial.reporting.results.load import Results
from fairtrial.storage.record import Attempt
from fairtrial.study.contrast import corners
from fairtrial.study.study import Contrast

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
    records = [results.records[cell] for cell in cells["cell"] if cell in results.records]
    measured = [record.measured for record in records if record.status == "done"]
    limits = [LOSS_SHARE * math.log(one.classes) for one in measured if one.classes]
    return Convergence(
        _mean([one.train_loss for one in measured if one.train_loss is not None]),
        _mean(limits),
        _mean([gain for record in records if (gain := _gain(record)) is not None]),
    )


def unfinished(results: Results, contrast: Contrast) -> Iterator[str]:
    """Yield 'control not converged at this budget' where an arm of a side was hardly trained."""
    names = list(results.study.factors)
    sides = [
        all(
            convergence(results, cells).converged
            for _, cells in results.where(levels).groupby(names, dropna=False, sort=False)
        )
        for levels in corners(contrast)
    ]
    lacking = [name for name, i in (("treatment", 0), ("control", 1)) if not all(sides[i::2])]
    if lacking:
        who = "neither converged" if len(lacking) == 2 else f"{lacking[0]} not converged"
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
