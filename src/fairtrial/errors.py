"""One block for every fault: what is wrong, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

# Exit codes of the command line (docs/exit-codes.md).
DONE = 0
FAILED_CELLS = 1
USAGE = 2
BAD_INPUT = 3
REFUSED = 4
INCOMPLETE = 5
RESOURCES = 6
REGRESSION = 7
PREEMPTED = 75
INTERRUPTED = 130


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: `what` was expected and came, `where` it stands, what to `do`."""

    what: str
    where: str
    do: str

    def block(self) -> str:
        """The three parts as a person reads them."""
        return f"error: {self.what}\n  where: {self.where}\n  do:    {self.do}"


class Fault(Exception):
    """Bad input or a refused action; carries every problem found, and the exit code."""

    def __init__(self, problems: Problem | Sequence[Problem], code: int = USAGE) -> None:
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        self.code = code
        super().__init__("\n".join(problem.what for problem in self.problems))

    def block(self) -> str:
        """All problems, one block each."""
        return "\n".join(problem.block() for problem in self.problems)

    def record(self) -> dict:
        """The same for `--json`."""
        return {"code": self.code, "problems": [vars(problem) for problem in self.problems]}


def fault(what: str, where: str, do: str, code: int = USAGE) -> Fault:
    """A Fault with a single problem."""
    return Fault(Problem(what, where, do), code)


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """', did you mean ...?' when a known name is near; the empty text otherwise."""
    near = get_close_matches(str(word), list(known), n=1, cutoff=0.5)
    return f", did you mean {near[0]!r}?" if near else ""
