"""What a cell may spend, in whatever unit it was declared; nothing here reads a clock."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from fairtrial.errors import shown

UNITS: Final = {
    "ex": ("examples", 1.0),
    "kex": ("examples", 1e3),
    "st": ("steps", 1.0),
    "flop": ("flops", 1.0),
    "mflop": ("flops", 1e6),
    "gflop": ("flops", 1e9),
    "tflop": ("flops", 1e12),
    "s": ("seconds", 1.0),
    "m": ("seconds", 60.0),
    "min": ("seconds", 60.0),
    "h": ("seconds", 3600.0),
}
KINDS: Final = {"examples": "ex", "steps": "st", "flops": "flop", "seconds": "s"}
# kind -> the account of an attempt that it is held against
SPENT: Final = {"examples": "examples", "steps": "steps", "flops": "flops", "seconds": "train_s"}


@dataclass(frozen=True)
class Budget:
    """What each cell may spend on training: exactly one of examples, steps, flops, seconds.

    flops: counted forward + backward of convolutions and matrix products, a multiply-accumulate counting 2.
    seconds: device time of training alone; a calibration turns it into steps before the first step.
    """

    examples: float | None = None
    steps: float | None = None
    flops: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"a budget has exactly one of {', '.join(KINDS)}; got {given or 'none'}")
        amount = getattr(self, given[0])
        if isinstance(amount, bool) or not isinstance(amount, (int, float)):
            raise ValueError(f"budget {given[0]}={shown(amount)} is not a number")
        if not 0 < amount < 1e300:
            raise ValueError(f"budget {given[0]}={shown(amount)} is not a finite number above 0")
        if given[0] in ("examples", "steps") and amount != int(amount):
            raise ValueError(f"budget {given[0]}={amount!r} is not a whole number")

    @property
    def kind(self) -> str:
        """'examples', 'steps', 'flops' or 'seconds'."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def amount(self) -> float:
        """The number that goes with `kind`."""
        return float(getattr(self, self.kind))

    @property
    def words(self) -> str:
        """'2,048 examples', '60 seconds'."""
        return f"{self.amount:,.15g} {self.kind}"

    def __str__(self) -> str:
        """The text that `parse` reads; part of a cell's identity, so two budgets never share one."""
        return _text(self)

    def scaled(self, share: float) -> Budget:
        """Return this share of the budget; examples and steps are rounded, one at least."""
        amount = self.amount * share
        return Budget(**{self.kind: max(1, round(amount)) if self.kind in ("examples", "steps") else amount})

    @classmethod
    def parse(cls, text: str) -> Budget:
        """'4000ex', '500st', '60s', '2gflop' -> Budget; ValueError lists the units."""
        kind, amount = quantity(text)
        return cls(**{kind: amount})

    def steps_for(self, batch_size: int, *, step_flops: float = 0, step_seconds: float = 0) -> int:
        """How many optimizer updates this budget buys: the nearest whole number, at least 1."""
        price = {"examples": batch_size, "steps": 1, "flops": step_flops, "seconds": step_seconds}[self.kind]
        if price <= 0:
            raise ValueError(f"a budget in {self.kind} needs the {self.kind} of one step; got {price}")
        return max(1, round(self.amount / price))


@lru_cache(maxsize=256)
def _text(budget: Budget) -> str:
    texts = (f"{budget.amount:.{digits}g}" for digits in (15, 16, 17))
    return next(text for text in texts if float(text) == budget.amount) + KINDS[budget.kind]


@lru_cache(maxsize=256)
def _is_written(text: str) -> bool:
    try:
        return Budget.parse(text) is not None
    except (ValueError, OverflowError):
        return False


def is_budget(value: object) -> bool:
    """Whether a recorded value is the text of a budget."""
    return isinstance(value, str) and _is_written(value)


def quantity(text: str) -> tuple[str, float]:
    """'30m' -> ('seconds', 1800.0): a number with its unit."""
    match = re.fullmatch(r"\s*([+-]?[0-9.]+(?:e[+-]?[0-9]+)?)\s*([a-z]+)\s*", text.lower())
    units = ", ".join(f"{unit} ({kind})" for unit, (kind, _) in UNITS.items())
    if match is None or match[2] not in UNITS:
        raise ValueError(f"{text!r} is not a number with a unit; units: {units}")
    kind, factor = UNITS[match[2]]
    try:
        number = float(match[1])
    except ValueError:
        raise ValueError(f"{match[1]!r} is not a number; write for example 4000ex or 60s") from None
    return kind, number if factor == 1 else float(f"{number * factor:.15g}")  # 1.001kex is 1001, no hair less


def parity_gap(spent: list[float]) -> float:
    """(max - min) / min of what arms spent; inf when one of them spent nothing."""
    low, high = min(spent), max(spent)
    if low <= 0:
        return 0.0 if high <= 0 else math.inf
    return (high - low) / low
