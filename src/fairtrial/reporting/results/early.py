"""What an arm had reached before its end, read from the curve that it recorded on the way."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from fairtrial.reporting.results.load import Record

_COLUMN: Final = {"test_acc": 1, "val_acc": 1, "test_loss": 2}  # of the validation curve


def early(record: Record, value: float, metric: str, part: float) -> float | None:
    """The metric after this part of the updates; None where the curve does not say.

    value: what the finished run scored. Taken from it is what validation still gained from there to the end.
    The schedule was in the middle then, so an arm with a budget that ends there would have done better.
    """
    if record["status"] != "done":
        return value
    column, steps = _COLUMN[metric], record["spent"]["steps"]
    curve = record["measured"].get("val_curve") or []
    if not curve or curve[-1][0] != steps:
        return None
    if part == 1:
        return value
    for before, after in pairwise(curve):
        if before[0] <= part * steps <= after[0]:
            weight = (part * steps - before[0]) / (after[0] - before[0])
            there = before[column] + weight * (after[column] - before[column])
            return value + there - curve[-1][column]
    return None
