"""Timed launches: before a study in seconds they set its numbers of steps, after it they check the costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any, Final

from fairtrial.execution import step_times
from fairtrial.execution.engine import Worker
from fairtrial.execution.engines import declaration_of, first_message
from fairtrial.execution.local_processes import LocalProcesses
from fairtrial.execution.run_options import Options
from fairtrial.execution.ways import Launch, Way, fastest, in_way, ways_of
from fairtrial.execution.worker_pool import WorkerPool
from fairtrial.screen import announce, working
from fairtrial.signals import Stop
from fairtrial.stats.cost_parity import MOST_ROUNDS, ROUNDS, open_arms
from fairtrial.storage import provenance
from fairtrial.storage.calibrations import chosen_ways, launches_after_runs
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

    @property
    def ways(self) -> dict[str, Way]:
        """Arm key -> layout and kernels that were chosen for it; none where it was timed as declared."""
        return chosen_ways(self.store.calibrations())

    def set_steps(self, pool: WorkerPool, workers: Sequence[Worker], arms: Mapping[str, Cell]) -> None:
        """Time arms before their runs, and write it down. arms: arm key -> a cell of it.

        workers: as many as will run side by side; one, where the budget is in seconds.
        """
        if not arms:
            return
        announce(f"timing one step and one evaluation of each of {len(arms)} arms; this is done once")

        def launch(cells: Mapping[Any, Cell], rounds: int) -> dict[Any, list[float]] | None:
            with working(f"timing {len(cells)} arms"):
                return pool.time_steps(workers, cells, rounds, self.stop)

        ways: dict[str, Way] | None = {}
        if self.counts_seconds:
            ways = self._choose(arms, workers[0].origin["kernels"], launch)
        if ways is None:
            return
        cells = {arm: in_way(cell, ways.get(arm, {})) for arm, cell in arms.items()}
        rounds = until_even(partial(launch, cells)) if self.counts_seconds else launch(cells, LAUNCHES)
        looks = rounds and pool.time_looks(workers, cells, self.stop)
        if rounds is not None and looks is not None:
            step_s = {arm: fmean(seconds) for arm, seconds in rounds.items()}
            self.store.calibrate(
                step_s, workers[0].origin, rounds=rounds, ways=ways, looks=looks, side_by_side=len(workers)
            )

    def _choose(self, arms: Mapping[str, Cell], of_device: str, launch: Launch) -> dict[str, Way] | None:
        """Return the fastest way of each arm: as first chosen in this study, else by launches now."""
        known = {arm: way for arm, way in self.ways.items() if arm in arms}
        new = {arm: cell for arm, cell in arms.items() if arm not in known}
        ways = {arm: ways_of(cell.settings, self.study.factors, of_device) for arm, cell in new.items()}
        chosen = fastest(new, ways, launch)
        return None if chosen is None else known | chosen

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
        first, ways = step_times.first_cells(cells), self.ways
        return {arm: in_way(cell, ways.get(arm, {})) for arm, cell in first.items() if arm in arms}

    def check(self, pool: WorkerPool, cells: Sequence[Cell], counted: Mapping[str, Attempt]) -> None:
        """Launch arms after the runs until their costs are decided, or were launched often enough."""
        arms = self.unchecked(cells, counted)
        worker = pool.first_ready(self.stop) if arms else None
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
        while arms and (rounds := pool.time_steps([worker], arms, ROUNDS, self.stop)):
            self.store.calibrate({}, worker.origin, rounds=rounds)
            arms = self.unchecked(cells, counted)


def calibrate(study: Study, options: Options) -> None:
    """Measure the seconds of one step and of one evaluation of each arm now, and write them down."""
    store, stop = Store.of(study, options.results), Stop()
    jobs = options.jobs_for(study)
    engine = LocalProcesses(jobs, options.threads, options.device)
    first = first_message(study, store, options, declaration_of(store))
    with store.locked(), WorkerPool(engine, first) as pool:
        if workers := pool.ready(jobs, stop):
            arms = step_times.first_cells(study.provisional().cells())
            Timekeeper(study, store, stop).set_steps(pool, workers, arms)


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
