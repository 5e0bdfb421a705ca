"""The ways an attempt ends: which decide its cell, which score chance, which are tried again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from fairtrial.study.limits import METRICS

DONE: Final = "done"
DIVERGED: Final = "diverged"
OUTCOMES: Final = (DONE, DIVERGED)  # of the method: the same cell on the same machine would end so again
OOM: Final = "oom"
FAILURES: Final = (OOM, "timeout", "error", "killed")  # of the run: the cell is missing, and is tried again
INTERRUPTED: Final = "interrupted"
# Ends of the cell itself, before its evaluation. A time-out, a kill or a signal comes from outside and may
# come after it: then the attempt is an outcome all the same.
UNEVALUATED: Final = (DIVERGED, OOM, "error")
STATUSES: Final = (*OUTCOMES, *FAILURES, INTERRUPTED)
MOST_FAILED: Final = 3  # attempts of one cell; after as many it is named, and tried again by --retry alone
MISSING_LIMIT: Final = 0.2  # a contrast that has lost a larger share of its pairs is refused in any case
WORDS: Final = {
    DIVERGED: "diverged",
    OOM: "ran out of memory",
    "timeout": "timed out",
    "error": "broke",
    "killed": "was killed",
}
# As every declaration has recorded it. "Failed" is what the method does: a run that diverged.
DECLARED: Final = "a failed seed scores chance accuracy"
# Where an attempt was killed together with its driver, or with all of its machine.
_NOT_ITS_OWN: Final = ("driver", "machine")


@dataclass(frozen=True)
class FailurePolicy:
    """What an attempt's end means for its cell. oom: "failure", or "outcome" where memory is studied."""

    oom: str = "failure"

    def problem(self) -> str:
        """Return what is wrong with it; nothing where it is known."""
        known = ("failure", "outcome")
        return "" if self.oom in known else f"unknown oom {self.oom!r}; known: {', '.join(known)}"

    def decides(self, status: str, *, evaluated: bool) -> bool:
        """Say whether an attempt is its cell's outcome; one that was evaluated is, whatever came after."""
        return evaluated or status in OUTCOMES or (status == OOM and self.oom == "outcome")

    def scores_chance(self, status: str) -> bool:
        """Say whether an outcome scores chance accuracy."""
        return status == DIVERGED or (status == OOM and self.oom == "outcome")


def is_failure(status: str, where: str | None) -> bool:
    """Say whether an attempt counts as failed. where: it ended; with its driver or machine is no failure."""
    if status == "killed":
        return where is not None and where not in _NOT_ITS_OWN
    return status in FAILURES


def attempt_words(arm: str, seed: int, status: str, error: Any) -> str:
    """Name a cell and how its attempt ended. error: what the attempt says of it, or None."""
    return f"{arm}, seed {seed} {WORDS[status]}" + (f": {error.what} ({error.where})" if error else "")


def given_up_words(arm: str, seed: int, status: str, error: Any) -> str:
    """Name a cell that failed as often as is allowed. error: as of its last attempt."""
    return f"{attempt_words(arm, seed, status, error)}; {MOST_FAILED} attempts failed"


def chance(classes: int | None) -> dict[str, float]:
    """Return the score of a failed seed on each metric: a guess among equal classes; NaN without a count."""
    if not classes:
        return dict.fromkeys(METRICS, math.nan)
    return {"test_acc": 1 / classes, "val_acc": 1 / classes, "test_loss": math.log(classes)}
