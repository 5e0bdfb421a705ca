"""Checkpoints of a cell that trains long: when one is written, and whether one may be gone on from."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor

from fairtrial.errors import Fault, shown
from fairtrial.failpoints import STEP, chosen, failpoint
from fairtrial.storage import cell_checkpoints
from fairtrial.storage.cell_checkpoints import Saved
from fairtrial.storage.provenance import UNKNOWN
from fairtrial.training.timing import Ledger

LEAST_S: Final = 30.0  # of training between two checkpoints: what takes less is soon trained again
SHARE: Final = 0.01  # of the time so far, checkpoints included: half of the 2 % that a cell may spend on them
TELL_S: Final = 1.0  # between two words of how far the training is
SLOWEST: Final = 50e6  # bytes a second: what the first checkpoint is taken to cost before one is measured
# what a state that is none does to those who take it
_DAMAGE: Final = (SafetensorError, ValueError, TypeError, KeyError, AttributeError, OverflowError)


class Kept(Protocol):
    """The state of a cell between two steps: of the loop in the box, or of own training code.

    ready: whether there is something to keep at this step.
    """

    step: int

    @property
    def ready(self) -> bool: ...
    def arrays(self) -> dict[str, Tensor]: ...
    def facts(self) -> dict[str, Any]: ...
    def take(self, arrays: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True)
class Resumable:
    """Where the checkpoints of an attempt lie, and what it runs under.

    made: whatever a bit of the result may depend on; a checkpoint made otherwise is not gone on from.
    """

    folder: Path
    attempt: int
    made: Mapping[str, Any]


@dataclass
class Keeper:
    """Watches the training of one cell: writes its checkpoints, begins with an earlier one.

    now: seconds of a clock that does not jump. carried_s: device seconds of the checkpoint that it began
    with; an earlier attempt has billed them as lost. lines: what a person should know.
    """

    where: Resumable
    cell: str
    ledger: Ledger
    now: Callable[[], float] = time.monotonic
    carried_s: float = 0.0
    lines: list[str] = field(default_factory=list)
    _began: float = 0.0
    _last: float = 0.0
    _cost_s: float | None = None  # of the last checkpoint
    _spent_s: float = 0.0  # on checkpoints of this attempt

    def begin(self, state: Kept) -> None:
        """Take the newest checkpoint that is whole and was made as this cell is; else start anew."""
        for saved in reversed(cell_checkpoints.listed(self.where.folder, self.cell)):
            try:
                record, data = cell_checkpoints.read(saved.json)
                if reason := _otherwise(record["made"], self.where.made):
                    raise ValueError(f"it was made otherwise: {reason}")
                seconds = {account: float(spent) for account, spent in record["seconds"].items()}
                if min(seconds.values(), default=0.0) < 0.0:
                    raise ValueError("it booked less than no time")
                state.take(from_bytes(data), record["state"])
            except Fault as error:
                self._pass_over(saved, str(error))
            except _DAMAGE as error:
                self._pass_over(saved, str(error) or type(error).__name__)
            else:
                self.ledger.go_on_from(seconds)
                self.carried_s = sum(seconds.values()) - seconds.get("load", 0.0)
                self.lines.append(
                    f"cell {self.cell}: goes on from step {saved.step} of attempt {saved.attempt}"
                )
                break
        else:
            if self.lines:
                self.lines.append(f"cell {self.cell}: starts anew")
        self._began = self._last = self.now()

    def _pass_over(self, saved: Saved, reason: str) -> None:
        self.lines.append(f"cell {self.cell}: its checkpoint at step {saved.step} is not used: {reason}")

    def after_step(self, state: Kept) -> None:
        """Write a checkpoint when it is due."""
        failpoint(STEP, state.step)
        if not state.ready or self.now() - self._last < LEAST_S:
            return
        try:
            if self._affordable(state):
                self._write(state)
        except (SafetensorError, TypeError, ValueError) as error:
            line = f"cell {self.cell}: its state is not kept: {error}"
            self.lines += [line] if line not in self.lines else []
            self._last = self.now()

    def _affordable(self, state: Kept) -> bool:
        """Whether checkpoints stay within their share of the time so far, with one more of them."""
        cost_s = self._cost_s
        if cost_s is None:
            cost_s = sum(value.nbytes for value in state.arrays().values()) / SLOWEST
        return self._spent_s + cost_s <= SHARE * (self.now() - self._began)

    def _write(self, state: Kept) -> None:
        start = self.now()
        try:
            with self.ledger.book("checkpoint"):
                # copies: safetensors refuses tensors that share their memory
                how: dict[str, Any] = {"copy": True, "memory_format": torch.contiguous_format}
                arrays = {name: value.detach().to("cpu", **how) for name, value in state.arrays().items()}
                seconds = dict(self.ledger.seconds)
                record = {"made": self.where.made, "state": state.facts(), "seconds": seconds}
                saved = Saved(self.cell, self.where.attempt, state.step, self.where.folder)
                cell_checkpoints.write(saved, record, to_bytes(arrays))
        finally:
            self._last = self.now()
            self._cost_s = self._last - start
            self._spent_s += self._cost_s


class Steps:
    """Watches training where nothing is kept, for the failpoint of a step alone."""

    carried_s = 0.0
    lines: tuple[str, ...] = ()

    def begin(self, state: Kept) -> None:
        """Leave the state as it is."""

    def after_step(self, state: Kept) -> None:
        """Fail at this step, if that was asked."""
        failpoint(STEP, state.step)


class Telling:
    """Watches so many steps for another watch, and tells once a second which step training is at."""

    def __init__(self, other: Keeper | Steps | None, tell: Callable[[str], object], steps: int) -> None:
        self._other, self._tell, self._steps = other, tell, steps
        self._told = time.monotonic()

    def begin(self, state: Kept) -> None:
        """Let the other one begin."""
        if self._other is not None:
            self._other.begin(state)

    def after_step(self, state: Kept) -> None:
        """Tell the step where it is due."""
        if self._other is not None:
            self._other.after_step(state)
        if (now := time.monotonic()) - self._told >= TELL_S:
            self._told = now
            self._tell(f"step {state.step} of {self._steps}")


def keeper_of(cell: str, where: Resumable | None, ledger: Ledger) -> Keeper | Steps | None:
    """Return who watches the training of a cell: nobody, where it keeps no checkpoints."""
    if where is not None:
        return Keeper(where, cell, ledger)
    return Steps() if chosen() else None


def with_drawn(where: Resumable | None, **drawn: Any) -> Resumable | None:
    """Add what a cell has drawn and opened to what its checkpoints were made under."""
    if where is None:
        return None
    made = json.loads(json.dumps({**where.made, **drawn}))
    return Resumable(where.folder, where.attempt, made)


def _otherwise(there: Any, here: Mapping[str, Any]) -> str:
    """Return the first thing that differs, or that nobody knows; empty where a checkpoint fits."""
    if not isinstance(there, dict):
        return "it does not say how"
    for name in sorted(there.keys() | here.keys()):
        then, now = there.get(name), here.get(name)
        if then != now:
            return f"{name} was {shown(then)}, is {shown(now)}"
        if then == UNKNOWN:
            return f"{name} is unknown"
    return ""
