"""One block for every fault: what is wrong, where, and what to do about it."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

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

_MACHINE: Final = (errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE)
MOST_SHOWN: Final = 20  # problems that are printed; the rest is counted (`--json` has them all)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: `what` was expected and came, `where` it stands, what to `do`."""

    what: str
    where: str
    do: str

    def block(self) -> str:
        """The three parts as a person reads them, one line each."""
        what, where, do = map(one_line, (self.what, self.where, self.do))
        return f"error: {what}\n  where: {where}\n  do:    {do}"


class Fault(Exception):
    """Bad input or a refused action; carries every problem found, and the exit code."""

    def __init__(self, problems: Problem | Sequence[Problem], code: int = USAGE) -> None:
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        self.code = code
        super().__init__("\n".join(problem.what for problem in self.problems))

    def __reduce__(self) -> tuple[type[Fault], tuple[tuple[Problem, ...], int]]:
        """Say how another process makes it again: an exception is copied with its text alone."""
        return type(self), (self.problems, self.code)

    def block(self) -> str:
        """The problems, one block each; at most MOST_SHOWN of them."""
        blocks = [problem.block() for problem in self.problems[:MOST_SHOWN]]
        more = len(self.problems) - len(blocks)
        return "\n".join([*blocks, f"... and {more} more of {len(self.problems)}"] if more else blocks)

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows of it: the blocks, as on the command line."""
        return self.block().splitlines()

    def objects(self) -> list[dict[str, Any]]:
        """The problems for `--json`: code, what, where, do of each."""
        return [{"code": self.code, **vars(problem)} for problem in self.problems]

    def record(self) -> dict[str, Any]:
        """The whole fault as one JSON object, on its way between processes."""
        return {"code": self.code, "problems": [vars(problem) for problem in self.problems]}


def fault(what: str, where: str, do: str, code: int = USAGE) -> Fault:
    """A Fault with a single problem."""
    return Fault(Problem(what, where, do), code)


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """', did you mean ...?' when a known name begins the word, or is near, in capitals or not; else ''."""
    from difflib import get_close_matches

    text, names = str(word), list(known)
    begins = [name for name in names if len(name) > 2 and text.startswith(name)]
    cutoff = 0.5 if len(text) < 4 else 0.52  # one wrong letter of two is near, half a long word is not
    alike = [name for name in names if name.casefold() == text.casefold()]
    near = begins or alike or get_close_matches(text, names, n=1, cutoff=cutoff)
    return f", did you mean {near[0]!r}?" if near else ""


def shown(value: object) -> str:
    """A value on one short line, whatever it is."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of more than 4300 digits
        return f"{type(value).__name__} of thousands of digits"
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text):,} characters)"


def one_line(text: str) -> str:
    """Return a text with what a terminal would not print, or obey, written out: data holds anything."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def out_of_memory(error: Exception) -> bool:
    """Whether memory ran out: on a CPU, torch says so in the text of a RuntimeError alone."""
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    says = str(error) if isinstance(error, RuntimeError) else ""
    return isinstance(error, MemoryError) or "out of memory" in says or "allocate memory" in says


class Shortage(Fault):
    """The machine could not read: nothing is known of what was to be read, so it is not called damaged."""


def refuse_shortage(error: Exception, where: str) -> None:
    """Raise where an error tells of the machine, not of what was read: memory, open files, a failing disk.

    A MemoryError for memory, which ends a cell as oom; else a Shortage (exit code 6).
    """
    if out_of_memory(error):
        raise MemoryError(f"memory ran out while {where} was read") from error
    if isinstance(error, OSError) and error.errno in _MACHINE:
        do = "allow more open files (ulimit -n), or check the disk; then run the same command again"
        raise Shortage(Problem(f"could not read: {error.strerror}", where, do), RESOURCES) from error
