"""The displays of a run: a grid in a terminal, a bar in a notebook, one plain line per cell elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, Protocol

from fairtrial.execution.attempt_log import AttemptLog
from fairtrial.execution.display.grid_lines import grid_lines
from fairtrial.execution.display.watch import Busy, Watch, score_of
from fairtrial.screen import announce, console, in_notebook, is_terminal, notebook_bar
from fairtrial.storage.record import Attempt
from fairtrial.study.failure_policy import attempt_words
from fairtrial.study.study import Cell

DRAWN_S: Final = 0.5  # seconds between two drawings of the grid


class Progress(Protocol):
    """What the driver tells of its work."""

    def finished(self, record: Attempt, wall_s: float) -> None:
        """A cell has an outcome."""

    def tick(self, busy: Busy) -> None:
        """Some time has passed; these cells run."""

    def expect(self, cells: Sequence[Cell]) -> None:
        """These are the cells that are wanted from now on."""

    def close(self) -> None:
        """The work has ended."""


@contextmanager
def progress_for(
    cells: Sequence[Cell], log: AttemptLog, jobs: int, total_s: float | None
) -> Iterator[Progress]:
    """The display that suits where stderr goes, until the block ends; it never raises anything."""
    watch = Watch(cells, log, jobs, total_s)
    kind: Callable[[Watch], Progress] = Grid if is_terminal() else Lines
    shown = Contained(watch, Bar if in_notebook() else kind)
    try:
        yield shown
    finally:
        shown.close()


class Lines:
    """One line per finished cell, for logs."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        if done := watch.done():
            announce(f"{done} of {len(watch.cells)} cells are done already")

    def finished(self, record: Attempt, wall_s: float) -> None:
        done, cells = self._watch.done(), len(self._watch.cells)
        name = "val_acc" if record.settings.stage == "tuning" else "test_acc"
        score = score_of(record)
        result = f"{name} {score:.4f}" if score is not None else record.status
        arm = self._watch.arm_of[record.cell]
        count = f"[{done:{len(str(cells))}}/{cells}]"
        announce(f"{count} seed {record.seed}  {arm:<24} {result:<16} {wall_s:6.1f} s")

    def tick(self, busy: Busy) -> None:
        """Nothing: a log grows by results only."""

    def expect(self, cells: Sequence[Cell]) -> None:
        self._watch.expect(cells)

    def close(self) -> None:
        """Nothing: every line is out."""


class Bar:
    """One bar, in a notebook."""

    def __init__(self, watch: Watch) -> None:
        self._watch, self._drawn = watch, -math.inf
        self._bar = notebook_bar(total=len(watch.cells), initial=watch.done(), unit="cell")

    def finished(self, record: Attempt, wall_s: float) -> None:
        self._bar.n = self._watch.done()
        self._bar.refresh()

    def tick(self, busy: Busy) -> None:
        if not busy or time.monotonic() - self._drawn < DRAWN_S:
            return
        self._drawn = time.monotonic()
        (worker, cell), *others = busy
        doing = f", {worker.doing}" if worker.doing else ""
        more = f"; {len(others)} more run" if others else ""
        self._bar.set_postfix_str(f"{cell.arm}, seed {cell.seed}{doing}{more}")

    def expect(self, cells: Sequence[Cell]) -> None:
        self._watch.expect(cells)
        self._bar.total, self._bar.n = len(cells), self._watch.done()
        self._bar.refresh()

    def close(self) -> None:
        self._bar.close()


class Grid:
    """Arms by seeds, with the running mean and interval of each arm, and what runs now."""

    def __init__(self, watch: Watch) -> None:
        from rich.live import Live

        self._watch, self._drawn = watch, -math.inf
        self._busy: Busy = ()
        # drawn here alone: a thread that draws could fail where nobody catches it
        self._live = Live(console=console(), auto_refresh=False, transient=True)
        self._live.start()

    def finished(self, record: Attempt, wall_s: float) -> None:
        self._drawn = -math.inf
        self.tick([(worker, cell) for worker, cell in self._busy if cell.id != record.cell])

    def tick(self, busy: Busy) -> None:
        from rich.text import Text

        self._busy = list(busy)
        if time.monotonic() - self._drawn < DRAWN_S:
            return
        self._drawn = time.monotonic()
        width, height = self._live.console.size
        shown = "\n".join(grid_lines(self._watch, self._busy, width, height))
        self._live.update(Text(shown, no_wrap=True, overflow="ellipsis"), refresh=True)

    def expect(self, cells: Sequence[Cell]) -> None:
        self._watch.expect(cells)

    def close(self) -> None:
        self._live.stop()


class Contained:
    """A display whose faults end no run: lines take over from it."""

    def __init__(self, watch: Watch, kind: Callable[[Watch], Progress]) -> None:
        self._watch = watch
        self._shown: list[Progress] = []
        with self._contained():
            self._shown = [kind(watch)]

    @contextmanager
    def _contained(self) -> Iterator[None]:
        try:
            yield
        # whatever it is: a run is worth more than its picture
        except Exception as error:
            failed, self._shown = self._shown, []
            with suppress(Exception):
                for shown in failed:
                    shown.close()
            announce(f"the display failed ({type(error).__name__}: {error}); lines follow")
            with suppress(Exception):
                self._shown = [Lines(self._watch)]

    def finished(self, record: Attempt, wall_s: float) -> None:
        """Show how an attempt ended, and why where it failed."""
        with self._contained():
            if record.failed:
                arm = self._watch.arm_of[record.cell]
                announce(attempt_words(arm, record.seed, record.status, record.error))
            for shown in self._shown:
                shown.finished(record, wall_s)

    def tick(self, busy: Busy) -> None:
        with self._contained():
            for shown in self._shown:
                shown.tick(busy)

    def expect(self, cells: Sequence[Cell]) -> None:
        with self._contained():
            self._watch.expect(cells)
            for shown in self._shown:
                shown.expect(cells)

    def close(self) -> None:
        with self._contained():
            for shown in self._shown:
                shown.close()
