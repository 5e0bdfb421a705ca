"""What a person sees while a study runs: a live grid in a terminal, one plain line per cell elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from fairtrial.storage.record import Attempt
from fairtrial.study.limits import MIN_UNITS
from fairtrial.study.study import Cell

if TYPE_CHECKING:
    from rich.table import Table

    from fairtrial.execution.attempt_log import AttemptLog

MARKS = {"done": "■", "diverged": "D", "oom": "M", "timeout": "T", "error": "E", "killed": "K"}


class Progress(Protocol):
    """What the driver tells of its work."""

    def finished(self, record: Attempt, wall_s: float) -> None:
        """A cell has an outcome."""

    def tick(self) -> None:
        """Some time has passed."""

    def expect(self, cells: Sequence[Cell]) -> None:
        """These are the cells that are wanted from now on."""


@contextmanager
def progress_for(
    cells: Sequence[Cell], log: AttemptLog, jobs: int, total_s: float | None
) -> Iterator[Progress]:
    """The display that suits where stderr goes; CI and NO_COLOR ask for plain lines too."""
    watch = Watch(cells, log, jobs, total_s)
    if "ipykernel" in sys.modules:
        with Bar(watch) as bar:
            yield bar
        return
    if not sys.stderr.isatty() or os.environ.get("CI") or os.environ.get("NO_COLOR"):
        yield Lines(watch)
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), refresh_per_second=4, transient=True) as live:
        grid = Grid(watch, live)
        grid.tick()
        yield grid


class Watch:
    """How much is done, spent and left."""

    def __init__(self, cells: Sequence[Cell], log: AttemptLog, jobs: int, total_s: float | None) -> None:
        self.log, self.jobs, self.total_s = log, jobs, total_s
        self.expect(cells)

    def expect(self, cells: Sequence[Cell]) -> None:
        """Count these cells from now on."""
        self.cells = list(cells)
        self._done, self._noted = 0, 0  # cells with an outcome, among so many attempts of the log
        self.arms = list(dict.fromkeys(cell.arm for cell in cells))
        self.arm_of = {cell.id: cell.arm for cell in cells}
        self._one_of = {cell.arm: cell for cell in cells}

    def done(self) -> int:
        """How many declared cells have an outcome; attempts are looked at once."""
        for record in self.log.records[self._noted :]:
            self._done += record.cell in self.arm_of and self.log.outcome(record.cell) is record
        self._noted = len(self.log.records)
        return self._done

    def left_s(self) -> float:
        """Wall seconds that the pending cells will take, from what finished cells of their arm took."""
        pending = Counter(self.arm_of[cell.id] for cell in self.log.pending(self.cells))
        return sum(n * self.log.typical_s(self._one_of[arm]) for arm, n in pending.items()) / self.jobs

    def money(self) -> str:
        """Budget and time, in words."""
        spent = f"{duration(self.log.spent_s)} of device time"
        if self.total_s is not None:
            spent += f", {duration(max(0.0, self.total_s - self.log.spent_s))} of the budget left"
        return f"{spent}, about {duration(self.left_s())} to go"


def announce(*lines: str) -> None:
    """Put lines on stderr; a run goes on when nobody reads it any more."""
    for line in lines:
        with suppress(OSError):
            print(line, file=sys.stderr, flush=True)


class Lines:
    """One line per finished cell, for logs."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        if done := watch.done():
            announce(f"{done} of {len(watch.cells)} cells are done already")

    def finished(self, record: Attempt, wall_s: float) -> None:
        done, cells = self._watch.done(), len(self._watch.cells)
        name = "val_acc" if record.settings.stage == "tuning" else "test_acc"
        score = getattr(record.measured, name)
        result = f"{name} {score:.4f}" if score is not None else record.status
        arm = self._watch.arm_of[record.cell]
        count = f"[{done:{len(str(cells))}}/{cells}]"
        announce(f"{count} seed {record.seed}  {arm:<24} {result:<16} {wall_s:6.1f} s")

    def tick(self) -> None:
        """Nothing: a log grows by results only."""

    def expect(self, cells: Sequence[Cell]) -> None:
        self._watch.expect(cells)


class Bar:
    """One bar, in a notebook."""

    def __init__(self, watch: Watch) -> None:
        from tqdm.auto import tqdm

        self._watch = watch
        self._bar = tqdm(total=len(watch.cells), initial=watch.done(), unit="cell")

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def finished(self, record: Attempt, wall_s: float) -> None:
        self._bar.set_postfix_str(f"{self._watch.arm_of[record.cell]}, seed {record.seed}", refresh=False)
        self._bar.n = self._watch.done()
        self._bar.refresh()

    def tick(self) -> None:
        """Nothing: tqdm shows the time itself."""

    def expect(self, cells: Sequence[Cell]) -> None:
        self._watch.expect(cells)
        self._bar.total, self._bar.n = len(cells), self._watch.done()
        self._bar.refresh()


class Grid:
    """Arms by seeds, with the running mean and interval of each arm."""

    def __init__(self, watch: Watch, live: Any) -> None:
        self._watch, self._live, self._started = watch, live, time.monotonic()

    def finished(self, record: Attempt, wall_s: float) -> None:
        self.tick()

    def tick(self) -> None:
        self._live.update(self._table())

    def expect(self, cells: Sequence[Cell]) -> None:
        self._watch.expect(cells)

    def _table(self) -> Table:
        from rich.table import Table

        watch = self._watch
        title = f"{watch.done()} of {len(watch.cells)} cells · {watch.money()}"
        table = Table("arm", "seeds", "mean test_acc [95 %]", title=title, title_justify="left", box=None)
        ends: dict[str, list[Any]] = {arm: [] for arm in watch.arms}
        for cell in watch.cells:
            ends[watch.arm_of[cell.id]].append(watch.log.outcome(cell.id) or watch.log.last_failure(cell.id))
        for arm, records in ends.items():
            marks = "".join(MARKS[record.status] if record else "·" for record in records)
            done = [record.measured.test_acc for record in records if record and record.status == "done"]
            table.add_row(arm, marks, _running([score for score in done if score is not None]))
        return table


def _running(scores: list[float]) -> str:
    if not scores:
        return ""
    if len(scores) < MIN_UNITS:
        return f"{100 * sum(scores) / len(scores):.1f}"
    from fairtrial.stats import mean_interval

    interval = mean_interval(scores)
    return f"{100 * interval.estimate:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def duration(seconds: float) -> str:
    """Seconds as a person reads them: '42 s', '3 min 10 s', '2 h 5 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
