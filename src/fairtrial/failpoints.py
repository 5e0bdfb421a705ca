"""Named points at which a test kills, starves or holds the process that reaches them (docs/resuming.md).

FAIRTRIAL_FAILPOINT=name[:nth][:kill|enospc|sleep], by default 1:kill. It is read once; unset, a point costs
one comparison.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from typing import Final, NamedTuple

VARIABLE: Final = "FAIRTRIAL_FAILPOINT"
HELD_S: Final = 60.0  # that "sleep" holds a process
ACTIONS: Final = ("kill", "enospc", "sleep")
STEP: Final = "step-k"


class Along(NamedTuple):
    """The points along the publication of one file; a nameless one is none."""

    opened: str = ""
    half: str = ""
    written: str = ""
    unnamed: str = ""
    named: str = ""


NOWHERE: Final = Along()
CHECKPOINT: Final = Along(
    "ckpt-tmp-open", "ckpt-half-written", "ckpt-before-fsync", "ckpt-before-rename", "ckpt-after-rename"
)
RESULT: Final = Along(
    half="result-half", unnamed="result-before-publish", named="result-after-publish-before-index"
)
NAMES: Final = (
    "claim-before", "claim-after", "cell-start", STEP, *filter(None, CHECKPOINT), "ckpt-prune",
    *filter(None, RESULT), "lease-renew", "study-final-before",
)  # fmt: skip


class Failpoint:
    """The point that a process is to fail at. problem: why the variable means nothing, or empty."""

    def __init__(self, text: str) -> None:
        self.name, *rest = text.split(":")
        self.action = rest.pop() if rest and rest[-1] in ACTIONS else "kill"
        nth = rest.pop(0) if rest else "1"
        self.nth = int(nth) if nth.isascii() and nth.isdigit() else 0
        self.hits = 0
        self.problem = ""
        if self.name not in NAMES:
            self.problem = f"unknown failpoint {self.name!r}; known: {', '.join(NAMES)}"
        elif rest or self.nth < 1:
            self.problem = f"failpoint {text!r} is not name[:nth][:{'|'.join(ACTIONS)}]"

    def reached(self, name: str, hit: int | None) -> None:
        """Count a hit of a point, or take its number; act on the nth of the one that is meant."""
        if self.problem:
            raise ValueError(self.problem)
        if name == self.name:
            self.hits = self.hits + 1 if hit is None else hit
            if self.hits == self.nth:
                self._act()

    def _act(self) -> None:
        if self.action == "enospc":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.action == "sleep":
            time.sleep(HELD_S)
        else:
            os.kill(os.getpid(), signal.SIGKILL)


_set: Failpoint | None = Failpoint(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None


def failpoint(name: str, hit: int | None = None) -> None:
    """Fail here, if this is the point that was named. hit: its number, where it is not the count of calls."""
    if _set is not None:
        _set.reached(name, hit)


def chosen() -> Failpoint | None:
    """Return the point that this process is to fail at; None, as always outside of tests."""
    return _set
