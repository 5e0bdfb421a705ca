"""A fixed part of a study's cells, for one of several machines: `--part 3/8`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from fairtrial.errors import fault
from fairtrial.study.study import Study
from fairtrial.study.tuning_plan import FIRST_SEED

MOST_PARTS: Final = 10_000
SAYS: Final = (
    "the I-th of N fixed parts, whole seeds each, so that pairs stay on one machine; trials of a tuning are"
    " split too, and a part whose cells wait for trials of others ends with exit code 5"
)


class Part(NamedTuple):
    """The `number`-th of `of` parts, from 1. Every cell of a study is in exactly one of them."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Part:
        """Return the part that '3/8' names; a Fault for anything else."""
        match = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5})", text)
        if match and 1 <= int(match[1]) <= int(match[2]) <= MOST_PARTS:
            return cls(int(match[1]), int(match[2]))
        what = f"--part {text} does not name one of several parts, which count from 1"
        raise fault(what, "--part", "write --part 3/8 for the third of eight, 1/8 for task 0 of an array")

    def __str__(self) -> str:
        return f"part {self.number} of {self.of}"

    def of_study(self, study: Study) -> Callable[[str, int, str], bool]:
        """Return what says whether a cell is in this part, by its id, seed and stage.

        Seeds are dealt out in turn, with the A/A arm and everything else of a seed; seeds added at the end
        move none. Trials of a tuning are dealt out one by one, because their work is fixed; under a budget in
        seconds by whole tuning seeds, because machines differ in speed.
        """
        position = {seed: index for index, seed in enumerate(study.seeds)}
        whole = study.budget.kind == "seconds"

        def has(cell: str, seed: int, stage: str) -> bool:
            if stage != "tuning":
                turn = position.get(seed, seed)
            else:
                turn = seed - FIRST_SEED if whole else int(cell, 16)
            return turn % self.of == self.number - 1

        return has

    def refuse_empty(self, study: Study) -> None:
        """A Fault where there are more parts than seeds: some would have nothing to do."""
        if self.of > len(study.seeds):
            what = f"{self.of} parts of {len(study.seeds)} seeds: a seed is never split, so some are empty"
            raise fault(what, "--part", f"use at most {len(study.seeds)} parts, or give more --seeds")
