"""What no run leaves behind: the rules that a record breaks whose fields are sound one by one."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from fairtrial.errors import shown
from fairtrial.study.budget import Budget
from fairtrial.study.factors import setting_flaw
from fairtrial.study.failure_policy import DONE, UNEVALUATED
from fairtrial.study.identity import cell_id
from fairtrial.study.settings import FACTORS

if TYPE_CHECKING:
    from fairtrial.storage.record import Attempt, Measured

WAY: Final = frozenset({"layout", "kernels"})
_NOTHING: Final = object()  # equal to no level
_budget: Final = lru_cache(maxsize=256)(Budget.parse)


def contradictions(record: Attempt) -> Iterator[str]:
    """Say what a record says twice, and not the same, and what does not go with how it ended."""
    settings, measured = record.settings, record.measured
    identity = cell_id(settings, _budget(record.budget), record.seed, record.replica)
    if identity != record.cell:
        yield f"its settings, budget and seed are those of cell {identity}, not of {record.cell}"
    for name, level in record.levels.items():
        value = getattr(settings, name) if name in FACTORS else settings.extra.get(name, _NOTHING)
        if value != level:
            yield f"levels.{name} is {level!r}, settings.{name} is {_told(value)}"
    if record.status == DONE:
        yield from _undone(record)
    elif measured.test_acc is not None and record.status in UNEVALUATED:
        yield f"measured.test_acc: expected none in a cell that ended as {record.status}"
    if measured.correct is not None:
        yield from _images(measured.correct, measured)
    for name, curve in (("train_curve", measured.train_curve), ("val_curve", measured.val_curve)):
        if curve:
            yield from _curve(f"measured.{name}", [point[0] for point in curve], record.spent.steps)
    kept, own = measured.checkpoint, f"{record.cell}-{record.number}.safetensors"
    if kept is not None and kept.file != own:
        yield f"measured.checkpoint.file is {kept.file}, the cell's own is {own}"
    drawn = record.drawn
    if not (drawn.layout is drawn.kernels is None or is_way(drawn.way)):
        yield f"drawn: expected a known layout with known kernels, or neither; got {drawn.way}"


def is_way(way: Mapping[str, Any]) -> bool:
    """Whether these are a layout and kernels that a cell can be computed in."""
    flaws = (setting_flaw(name, type(value).__name__, value) for name, value in way.items())
    return way.keys() == WAY and not any(flaws)


def _told(value: Any) -> str:
    return "not there" if value is _NOTHING else repr(value)


def _undone(record: Attempt) -> Iterator[str]:
    """Say what a cell that is done lacks, and what it cannot have."""
    score = "val_acc" if record.settings.stage == "tuning" else "test_acc"
    if getattr(record.measured, score) is None:
        yield f"measured.{score}: expected a fraction in 0..1 in a cell that is done; got none"
    if record.error is not None:
        yield f"error.what: expected none in a cell that is done; got {shown(record.error.what)}"
    if (step := record.measured.divergence_step) is not None:
        yield f"measured.divergence_step: expected none in a cell that is done; got {step}"


def _images(packed: str, measured: Measured) -> Iterator[str]:
    """Say where the bits of the single images are not those of the size and the accuracy beside them."""
    n = measured.test_n
    try:
        data = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        yield "measured.correct: expected base64"
        return
    if n is None or len(data) != (n + 7) // 8:
        yield f"measured.correct: {len(data)} bytes; expected a bit for each of test_n={n} images"
        return
    right = int.from_bytes(data).bit_count()
    if measured.test_acc is not None and measured.test_acc != right / n:
        yield f"test_acc is {measured.test_acc}, but {right} of {n} images are right: {right / n}"


def _curve(name: str, at: list[int], steps: int) -> Iterator[str]:
    """Say where the steps of a curve go back, or beyond the last one."""
    if at != sorted(set(at)):
        yield f"{name}: its steps do not rise: {', '.join(map(str, at[:20]))}"
    if at[-1] > steps:
        yield f"{name}: it ends at step {at[-1]}, and {steps} were taken (spent.steps)"
