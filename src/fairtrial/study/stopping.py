"""When a study may stop before its last seed: at looks that were declared, or after any seed."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from fairtrial.study.limits import MIN_UNITS

LOOKS: Final = (5, 10, 20)  # seeds; each look gets a third of alpha (STATISTICS 9)
NOT_REQUIRED: Final = "spared"  # the status of a cell that the rule does not ask for, as records name it
RULES: Final = ("looks", "sequence")
SAYS: Final = "looks (5, 10 and 20 seeds), looks:4,8 for others, or sequence"


@dataclass(frozen=True)
class Stopping:
    """A rule, and the numbers of seeds at which it looks.

    rule: "looks" shares alpha equally between them; "sequence" reads a confidence sequence after every seed.
    looks: ascending, the last one is all seeds of the study; empty for a sequence.
    """

    rule: str
    looks: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Stopping:
        """'looks' -> looks at 5, 10 and 20 seeds; 'looks:4,8'; 'sequence'. Anything else is a ValueError."""
        if text == "sequence":
            return cls("sequence")
        if text == "looks":
            return cls("looks", LOOKS)
        if re.fullmatch(r"looks:[0-9]{1,6}(,[0-9]{1,6})*", text) is None:
            raise ValueError(f"{text!r} is no stopping rule")
        looks = tuple(int(part) for part in text.removeprefix("looks:").split(","))
        if looks[0] < MIN_UNITS or any(later <= earlier for earlier, later in pairwise(looks)):
            raise ValueError(
                f"{text!r}: looks are at {MIN_UNITS} seeds or more, each later than the one before"
            )
        return cls("looks", looks)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Stopping:
        """The rule that a declaration holds."""
        return cls(record["rule"], tuple(record.get("looks", ())))

    def record(self) -> dict[str, Any]:
        """JSON-ready, for the declaration."""
        return {"rule": self.rule, **({"looks": list(self.looks)} if self.looks else {})}

    @property
    def sequence(self) -> bool:
        """Whether it looks after every seed."""
        return self.rule == "sequence"

    @property
    def parts(self) -> int:
        """Into how many equal parts it divides alpha."""
        return len(self.looks) or 1

    def at(self, seeds: int) -> tuple[int, ...]:
        """The numbers of seeds at which a study with so many is read, ascending."""
        return tuple(range(MIN_UNITS, seeds + 1)) if self.sequence else self.looks

    @property
    def words(self) -> str:
        """'looks at 5, 10 and 20 seeds, each with 1/3 of alpha', 'a confidence sequence after every seed'."""
        if self.sequence:
            return "a confidence sequence, read after every seed"
        if self.parts == 1:
            return f"one look at {self.looks[0]} seeds"
        first, last = ", ".join(map(str, self.looks[:-1])), self.looks[-1]
        return f"looks at {first} and {last} seeds, each with 1/{self.parts} of alpha"


@dataclass(frozen=True)
class Asked:
    """What a stopping rule asks for, by what is recorded so far. said: what each look decided, in words."""

    cells: Collection[str]
    said: tuple[str, ...] = ()
