"""How far a run is: a row for each arm, what is spent, what is left."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from fairtrial.execution.attempt_log import AttemptLog
from fairtrial.execution.engine import Worker
from fairtrial.screen import duration
from fairtrial.stats.student import fit_mean, mean_of
from fairtrial.storage.record import Attempt
from fairtrial.study.factors import label
from fairtrial.study.study import Cell

MARKS: Final = {"done": "■", "diverged": "D", "oom": "M", "timeout": "T", "error": "E", "killed": "K"}
RUNS, PENDING = "▸", "·"

Busy = Sequence[tuple[Worker, Cell]]


@dataclass(frozen=True)
class Arm:
    """One row: an arm, or the trials of one. marks: a letter a cell. ended: how many have an outcome.

    scores: of those that are done.
    """

    name: str
    marks: str
    ended: int
    scores: tuple[float, ...]
    best: bool = False  # of trials, the best one is what counts

    @property
    def mean(self) -> float | None:
        """The mean of the scores; of trials the best one; None where nothing is done."""
        if not self.scores:
            return None
        return max(self.scores) if self.best else mean_of(self.scores)

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the mean; None where there is none."""
        if self.best or not self.scores:
            return None
        fit = fit_mean(self.scores, 0.95)
        return None if fit.warnings else (fit.low, fit.high)

    @property
    def words(self) -> tuple[str, str]:
        """Mean and interval in percent; empty where there is none."""
        ends = self.interval
        interval = "" if ends is None else f"[{100 * ends[0]:.1f}, {100 * ends[1]:.1f}]"
        return "" if self.mean is None else f"{100 * self.mean:.1f}", interval


class Watch:
    """How much is done, spent and left. jobs: cells side by side."""

    def __init__(
        self, cells: Sequence[Cell], log: AttemptLog, jobs: int, total_s: float | None = None
    ) -> None:
        self.log, self.jobs, self.total_s = log, jobs, total_s
        self._began = time.monotonic()
        self.expect(cells)

    def expect(self, cells: Sequence[Cell]) -> None:
        """Count these cells from now on."""
        self.cells = list(cells)
        self._done, self._noted = 0, 0  # cells with an outcome, among so many attempts of the log
        self.arm_of = {cell.id: cell.arm for cell in cells}
        self._one_of = {self.arm_of[cell.id]: cell for cell in cells}

    def done(self) -> int:
        """How many declared cells have an outcome; attempts are looked at once."""
        for record in self.log.records[self._noted :]:
            self._done += record.cell in self.arm_of and self.log.outcome(record.cell) is record
        self._noted = len(self.log.records)
        return self._done

    def left_s(self, busy: Busy = ()) -> float | None:
        """Wall seconds until all is done, by what finished cells took; None before one has finished."""
        pending = Counter(self.arm_of[cell.id] for cell in self.log.pending(self.cells))
        times = {arm: self.log.typical_s(self._one_of[arm]) for arm in pending}
        if not all(times.values()):
            return None
        ran_s = sum(min(worker.ran_s(), times.get(cell.arm, 0.0)) for worker, cell in busy)
        return max(0.0, sum(n * times[arm] for arm, n in pending.items()) - ran_s) / max(1, self.jobs)

    def times(self, busy: Busy = ()) -> list[str]:
        """What is spent and what is left, in words."""
        left_s = self.left_s(busy)
        to_go = "time to go unknown yet" if left_s is None else f"about {duration(left_s)} to go"
        words = [f"{duration(time.monotonic() - self._began)} so far", to_go]
        if self.total_s is not None:
            words.append(f"{duration(max(0.0, self.total_s - self.log.spent_s))} of the budget left")
        return words

    def arms(self, running: Iterable[str] = ()) -> list[Arm]:
        """A row for each arm; while trials are pending, for the trials of each arm. running: ids of cells."""
        runs = set(running)
        trials = [cell for cell in self.cells if cell.settings.stage == "tuning"]
        others = [cell for cell in self.cells if cell.settings.stage != "tuning"]
        tuning = not others or any(self.log.outcome(cell.id) is None for cell in trials)
        rows: dict[str, list[Cell]] = {}
        for cell in trials if tuning else others:
            name = label(cell.levels) + (" (A/A)" if cell.replica else "") if tuning else self.arm_of[cell.id]
            rows.setdefault(name, []).append(cell)
        return [self._arm(name, cells, runs, best=tuning) for name, cells in rows.items()]

    def _arm(self, name: str, cells: list[Cell], runs: set[str], *, best: bool) -> Arm:
        marks, ended, scores = "", 0, defaultdict[str, list[float]](list)
        for cell in cells:
            record = self.log.outcome(cell.id)
            ended += record is not None
            last = record or self.log.last_failure(cell.id)
            marks += RUNS if cell.id in runs else PENDING if last is None else MARKS[last.status]
            if record and (score := score_of(record)) is not None:
                scores[cell.arm if best else name].append(score)
        every = map(mean_of, scores.values()) if best else scores[name]
        return Arm(name, marks, ended, tuple(every), best)


def score_of(record: Attempt) -> float | None:
    """Return the accuracy that an attempt is judged by; None where it has none."""
    if record.status != "done":
        return None
    return record.measured.val_acc if record.settings.stage == "tuning" else record.measured.test_acc
