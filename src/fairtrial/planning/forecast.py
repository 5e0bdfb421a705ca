"""What a study will take, from the seconds of a step of each arm."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from fairtrial.storage.record import Attempt
from fairtrial.study.identity import arm_key
from fairtrial.study.study import Cell


def cell_seconds(cell: Cell, known: dict[str, float]) -> float | None:
    """Training seconds that a cell will take; None when no step of its arm was ever timed."""
    if cell.budget.kind == "seconds":
        return cell.budget.amount
    seconds = known.get(arm_key(cell.settings))
    if seconds is None or cell.budget.kind == "flops":
        return None
    return seconds * cell.budget.steps_for(cell.settings.batch_size)


def overhead(attempts: Iterable[Attempt]) -> float:
    """(evaluation + loading) over training seconds, the median of recorded cells; 0 when there are none."""
    shares = [
        (attempt.spent.eval_s + attempt.spent.load_s) / attempt.spent.train_s
        for attempt in attempts
        if attempt.spent.train_s > 0
    ]
    return median(shares) if shares else 0.0
