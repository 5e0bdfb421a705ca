"""What a person sees on standard error: lines, and on a terminal how far something is that takes long."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_PLAIN: Final = str.maketrans("■▸·…━╸╺", "#>.~---")


def announce(*lines: str) -> None:
    """Put lines on stderr; the work goes on when nobody reads it any more."""
    for line in lines:
        with suppress(OSError, ValueError):
            print(line, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Seconds as a person reads them: '42 s', '3 min 10 s', '2 h 5 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def is_terminal() -> bool:
    """Whether something may be drawn on stderr: CI, NO_COLOR and TERM=dumb ask for plain lines too."""
    asked = os.environ.get("CI") or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return not asked and sys.stderr.isatty() and multiprocessing.parent_process() is None


class _Steady:
    """A terminal to which writing never fails: it may be closed, or lack a character."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.encoding = file.encoding or "ascii"

    def write(self, text: str) -> int:
        """Write what the terminal can show."""
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError:
            text = text.translate(_PLAIN).encode(self.encoding, "replace").decode(self.encoding)
        with suppress(OSError, ValueError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        """Show what was written."""
        with suppress(OSError, ValueError):
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def console() -> Console:
    """Return the terminal on stderr, for rich."""
    from rich.console import Console

    steady: Any = _Steady(sys.stderr)
    return Console(file=steady, highlight=False)


@contextmanager
def working(what: str, total: float | None = None, *, unit: str = "") -> Iterator[Callable[[float], None]]:
    """Show on a terminal what is being done, for how long, and how much of it; nothing elsewhere.

    What is yielded takes how much is done by now; unit "B": of bytes.
    """
    if not is_terminal():
        yield lambda done: None
        return
    from rich.progress import DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    amount = DownloadColumn() if unit == "B" else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), *([amount] if total or unit else []), TimeElapsedColumn())
    with Progress(*columns, console=console(), transient=True, refresh_per_second=2) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
