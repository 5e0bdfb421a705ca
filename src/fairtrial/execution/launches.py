"""Timed launches: before each seed of a study in seconds they set its steps, after it they check costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any, Final

from fairtrial.errors import Fault
from fairtrial.execution import step_times
from fairtrial.execution.engine import Worker
from fairtrial.execution.engines import declaration_of, first_message
from fairtrial.execution.local_processes import LocalProcesses
from fairtrial.execution.run_options import Options
from fairtrial.execution.step_times import LAUNCHES
from fairtrial.execution.ways import Launch, Way, fastest, in_ways, ways_of
from fairtrial.execution.worker_pool import WorkerPool
from fairtrial.screen import announce, working
from fairtrial.signals import Stop
from fairtrial.stats.cost_parity import ROUNDS, open_arms
from fairtrial.storage import provenance
from fairtrial.storage.calibrations import chosen_ways, sessions_of
from fairtrial.storage.record import Attempt
from fairtrial.storage.store import Store
from fairtrial.study.contrast import corners
from fairtrial.study.failure_policy import DONE
from fairtrial.study.limits import PARITY_LIMIT
from fairtrial.study.study import Cell, Study

MOST_LAUNCHES: Final = 20  # of each arm, where the machine is so noisy that ratios stay uncertain

Rounds = dict[str, list[float]]  # arm key -> seconds of one step at each launch


class Timekeeper:
    """Who times the arms of one study, and says by which steps and in which way each cell runs."""

    def __init__(self, study: Study, store: Store, stop: Stop) -> None:
        self.study, self.store, self.stop = study, store, stop
        self.step_s: dict[str, float] = {}  # arm key -> seconds of a step, as last timed
        self.way: dict[str, Way] = {}  # arm key -> layout and kernels that its cells run in
        self.seed: int | None = None  # whose arms were timed just before its runs

    @property
    def counts_seconds(self) -> bool:
        """Whether the study's budget is in seconds."""
        return self.study.budget.kind == "seconds"

    @property
    def ways(self) -> dict[str, Way]:
        """Arm key -> layout and kernels that were chosen for it; none where it was timed as declared."""
        return chosen_ways(self.store.calibrations())

    def time_missing(self, pool: WorkerPool, worker: Worker, cells: Sequence[Cell]) -> None:
        """Time the arms that were never timed on such a worker. cells: to be run, in their order."""
        arms, known = step_times.first_cells(cells), step_times.calibrated(self.store, worker.origin)
        missing = {arm: cell for arm, cell in arms.items() if arm not in known}
        self.set_steps(pool, [worker], missing)
        if len(missing) == len(arms) and cells[0].settings.stage != "tuning":
            self.seed = cells[0].seed
        self.step_s, self.way = step_times.calibrated(self.store, worker.origin), self.ways

    def time_seed(
        self, pool: WorkerPool, worker: Worker, cells: Sequence[Cell], tick: Callable[[], None]
    ) -> None:
        """Time the arms of a seed before the first of its runs, where one device runs them all.

        Machines that others share change by several percent in minutes, and not alike for all arms. cells: to
        be run, in their order.
        """
        seed, a_trial = cells[0].seed, cells[0].settings.stage == "tuning"
        if not self.counts_seconds or pool.size > 1 or a_trial or seed == self.seed:
            return
        runs = [cell for cell in cells if cell.settings.stage != "tuning" and cell.seed == seed]
        self.seed, arms = seed, in_ways(step_times.first_cells(runs), self.way)
        try:
            rounds = pool.time_steps([worker], arms, LAUNCHES, self.stop, tick)
        except Fault as error:  # the worker died; its successor runs the seed by the steps of before
            announce(f"the arms of seed {self.seed} keep the steps of before: {error}")
            return
        if rounds is not None:
            self.step_s |= self._set(rounds, worker, ways=self.way, side_by_side=1)

    def _set(self, rounds: Rounds, worker: Worker, **measured: object) -> dict[str, float]:
        """Write launches down that set the steps of their arms -> arm key: seconds of a step, their mean."""
        step_s = {arm: fmean(seconds) for arm, seconds in rounds.items()}
        self.store.calibrate(step_s, worker.origin, rounds=rounds, **measured)
        return step_s

    def set_steps(self, pool: WorkerPool, workers: Sequence[Worker], arms: Mapping[str, Cell]) -> None:
        """Time arms before all runs, and write it down. arms: arm key -> a cell of it.

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
        cells = in_ways(arms, ways)
        rounds = until_even(partial(launch, cells)) if self.counts_seconds else launch(cells, LAUNCHES)
        looks = rounds and pool.time_looks(workers, cells, self.stop)
        if rounds is not None and looks is not None:
            self._set(rounds, workers[0], ways=ways, looks=looks, side_by_side=len(workers))

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
        arms = open_arms(contrasts, sessions_of(self.store.calibrations()))
        first = {arm: cell for arm, cell in step_times.first_cells(cells).items() if arm in arms}
        return in_ways(first, self.ways)

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
        announce(f"whether {len(arms)} arms cost equal seconds is open: timing them again")
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
