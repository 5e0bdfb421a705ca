"""The ways a run ends: which are an outcome of its cell, which score chance, which are tried again."""

from __future__ import annotations

from typing import Final

DIVERGED: Final = "diverged"
REPEATABLE: Final = ("done", DIVERGED)  # the same cell on the same machine would end so again
RETRIED: Final = ("oom", "timeout", "error")  # by --retry
OUTCOMES: Final = (*REPEATABLE, *RETRIED)  # these end a cell
FAILED: Final = (DIVERGED, *RETRIED)  # these score chance accuracy
ENDED: Final = ("killed", "interrupted")  # these leave the cell pending
