"""What a person sees on standard error: lines, and on a terminal how far something is that takes long."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_PLAIN: Final = str.maketrans("■▸·…━╸╺", "#>.~---")

_shown: list[Progress] = []  # the one display of `working`


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
    # what is computed beside others draws nothing; a process that was started for it has loaded this
    beside = sys.modules.get("multiprocessing")
    return not asked and sys.stderr.isatty() and not (beside and beside.parent_process())


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook: others may have loaded one's modules."""
    kernels = sys.modules.get("ipykernel.kernelapp")
    return kernels is not None and kernels.IPKernelApp.initialized()


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
def working(what: str, total: int | None = None) -> Iterator[Callable[[int | str], None]]:
    """Show on a terminal, or in a notebook, what is being done, for how long, and how much of it.

    Nothing is shown elsewhere. What is yielded takes how much is done by now, or what it is at in words. One
    inside another has a line below it.
    """
    if in_notebook():
        with _notebook_bar(what, total) as tell:
            yield tell
        return
    if not is_terminal():
        yield lambda done: None
        return
    from rich.progress import Progress, TextColumn, TimeElapsedColumn
    from rich.table import Column

    outer = bool(_shown)
    words = TextColumn("{task.description}", table_column=Column(overflow="fold"))  # never cut
    columns = (words, TimeElapsedColumn())
    if not outer:
        _shown.append(Progress(*columns, console=console(), transient=True, refresh_per_second=2))
        _shown[0].start()
    bar = _shown[0]
    task = bar.add_task(what if total is None else f"{what}: 0 of {total}", total=total)

    def take(done: int | str) -> None:
        at = done if isinstance(done, str) else f"{done} of {total}"
        bar.update(task, description=f"{what}: {at}")

    try:
        yield take
    finally:
        bar.remove_task(task)
        if not outer:
            _shown.clear()
            bar.stop()


def notebook_bar(**how: Any) -> Any:
    """Return a bar of tqdm; without ipywidgets, which few notebooks have, it is one of text."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that ipywidgets could be installed
        from tqdm.auto import tqdm

        return tqdm(**how)


@contextmanager
def _notebook_bar(what: str, total: int | None) -> Iterator[Callable[[int | str], None]]:
    form = {} if total else {"bar_format": "{desc} {postfix}"}  # what is not counted has no rate
    bar = notebook_bar(desc=what, total=total, leave=False, **form)

    def take(done: int | str) -> None:
        if isinstance(done, str):
            bar.set_postfix_str(done)
        else:
            bar.n = done
            bar.refresh()

    try:
        yield take
    finally:
        bar.close()
