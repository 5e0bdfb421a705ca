"""Timed launches: before a study in seconds they set its numbers of steps, after it they check the costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from fairtrial.execution import step_times
from fairtrial.execution.progress import announce
from fairtrial.execution.signals import Stop
from fairtrial.execution.worker_pool import WorkerPool, WorkerProcess
from fairtrial.stats.cost_parity import MOST_ROUNDS, ROUNDS, open_arms
from fairtrial.storage import provenance
from fairtrial.storage.calibrations import launches_after_runs
from fairtrial.storage.record import Attempt
from fairtrial.storage.store import Store
from fairtrial.study.contrast import corners
from fairtrial.study.failure_policy import DONE
from fairtrial.study.limits import PARITY_LIMIT
from fairtrial.study.study import Cell, Study

LAUNCHES: Final = 5  # of each arm at least; their mean counts, as a cell pays for the slow moments too
MOST_LAUNCHES: Final = 20  # of each arm, where the machine is so noisy that ratios stay uncertain

Rounds = dict[str, list[float]]  # arm key -> seconds of one step at each launch


@dataclass(frozen=True)
class Timekeeper:
    """Who times the arms of one study."""

    study: Study
    store: Store
    stop: Stop

    @property
    def counts_seconds(self) -> bool:
        """Whether the study's budget is in seconds."""
        return self.study.budget.kind == "seconds"

    def set_steps(self, pool: WorkerPool, worker: WorkerProcess, arms: Mapping[str, Cell]) -> None:
        """Time arms before their runs, and write it down. arms: arm key -> a cell of it."""
        if not arms:
            return
        announce(f"timing one step of each of {len(arms)} arms; this is done once")

        def launch(rounds: int) -> Rounds | None:
            return pool.time_steps(worker, arms, rounds, self.stop)

        rounds = until_even(launch) if self.counts_seconds else launch(LAUNCHES)
        if rounds is not None:
            step_s = {arm: fmean(seconds) for arm, seconds in rounds.items()}
            self.store.calibrate(step_s, worker.origin, rounds=rounds)

    def unchecked(self, cells: Sequence[Cell], counted: Mapping[str, Attempt]) -> dict[str, Cell]:
        """Return the arms whose costs may be decided by more launches, once all cells have an outcome."""
        if not self.counts_seconds or any(cell.id not in counted for cell in cells):
            return {}
        outcomes = [counted[c.id] for c in cells if c.replica == 0 and c.settings.stage != "tuning"]
        runs = [(run.levels.items(), run.timed) for run in outcomes if run.status == DONE]
        contrasts = [
            [[timed for levels, timed in runs if corner.items() <= levels] for corner in corners(contrast)]
            for contrast in self.study.contrasts
        ]
        arms = open_arms(contrasts, launches_after_runs(self.store.calibrations()))
        return {arm: cell for arm, cell in step_times.first_cells(cells).items() if arm in arms}

    def check(self, pool: WorkerPool, cells: Sequence[Cell], counted: Mapping[str, Attempt]) -> None:
        """Launch arms after the runs until their costs are decided, or were launched often enough."""
        arms = self.unchecked(cells, counted)
        worker = (next(iter(pool.free()), None) or pool.first_ready(self.stop)) if arms else None
        if worker is None:
            return
        # another machine or another version cannot check the seconds of the runs
        names = {*provenance.UNMIXED, "cpu"}
        places = [run.provenance for run in counted.values()]
        odd = {n for p in places for n in names if getattr(p, n) not in (None, worker.origin.get(n))}
        if odd:
            announce(f"whether arms cost equal seconds stays open: the runs had another {sorted(odd)[0]}")
            return
        words = f"whether {len(arms)} arms cost equal seconds is open: timing them again"
        announce(f"{words}, at most {MOST_ROUNDS} launches each")
        while arms and (rounds := pool.time_steps(worker, arms, ROUNDS, self.stop)):
            self.store.calibrate({}, worker.origin, rounds=rounds)
            arms = self.unchecked(cells, counted)


def until_even(launch: Callable[[int], Rounds | None]) -> Rounds | None:
    """Launch arms until the ratio of any two is known to half the limit of parity, or MOST_LAUNCHES times."""
    rounds = launch(LAUNCHES)
    for _ in range(MOST_LAUNCHES // LAUNCHES - 1):
        if rounds is None or half_width(rounds) <= PARITY_LIMIT / 2:
            break
        more = launch(LAUNCHES)
        rounds = more and {arm: [*seconds, *more[arm]] for arm, seconds in rounds.items()}
    return rounds


def half_width(rounds: Mapping[str, Sequence[float]]) -> float:
    """Return two standard errors of the log ratio of two arms' mean steps.

    The spread is pooled over arms, without what all arms of a round share; inf at one launch.
    """
    arms, n = len(rounds), min(len(seconds) for seconds in rounds.values())
    if arms < 2:
        return 0.0
    if n < 2:
        return math.inf
    logs = [[math.log(value) for value in seconds[:n]] for seconds in rounds.values()]
    by_round = [fmean(column) for column in zip(*logs, strict=True)]
    total = fmean(by_round)
    left = (
        (x - fmean(row) - each + total) ** 2 for row in logs for x, each in zip(row, by_round, strict=True)
    )
    return 2 * math.sqrt(2 / n * sum(left) / ((n - 1) * (arms - 1)))
