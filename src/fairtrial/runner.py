"""The hall between the wings: pending cells -> attempts -> store."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fairtrial import forecast, origin
from fairtrial.books import Books
from fairtrial.crew import Crew, Message, Worker
from fairtrial.errors import DONE, FAILED_CELLS, INCOMPLETE, INTERRUPTED, PREEMPTED, REFUSED, Fault, Problem, fault
from fairtrial.progress import Progress, progress_for
from fairtrial.record import cell_message, failure
from fairtrial.store import FAILED, MOST_KILLS, Store
from fairtrial.study import Cell, Study

BEAT_S: Final = 2.0  # seconds between renewals of the leases: what a crash can lose without a trace


@dataclass(frozen=True)
class Options:
    """How to run, as far as it does not change a result."""

    results: Path = Path("results")
    device: str = "cpu"
    jobs: int | None = None
    threads: int = 1
    download: bool = False
    limit: int | None = None
    total_budget_s: float | None = None
    cell_timeout_s: float | None = None
    retry: bool = False
    allow_mixed: bool = False

    def jobs_for(self, study: Study) -> int:
        """Side by side: as many as asked or as there are cores; alone where seconds are what is measured."""
        if study.budget.kind == "seconds" or self.device != "cpu":
            return 1
        return self.jobs or len(os.sched_getaffinity(0))


def run(study: Study, options: Options) -> int:
    """Run what is missing of a study; the exit code. Any stop leaves a study that the same command resumes."""
    store = Store.of(study, options.results)
    with store.locked():
        store.sweep()
        store.declare(study)
        driver = Driver(study, store, options)
        with _signals(driver):
            return driver.run()


def calibrate(study: Study, options: Options) -> None:
    """Measure the seconds of one step of each arm now, and write them down."""
    store = Store.of(study, options.results)
    with store.locked():
        first = {forecast.arm_of(cell.settings): cell for cell in reversed(study.cells())}
        _measure(store, options, list(first.values())[::-1])


def _measure(store: Store, options: Options, cells: list[Cell]) -> None:
    crew = Crew(1, options.threads, _start(store, options))
    try:
        crew.workers[0].send(
            {
                "do": "calibrate",
                "arms": [cell.settings for cell in cells],
                "specs": [cell.data for cell in cells],
            }
        )
        while True:
            for _, message in crew.answers(1.0):
                if message is None:
                    raise fault("the calibration job died", "python -m fairtrial.job", "see above", REFUSED)
                _raise_fault(message)
                if "step_s" in message:
                    arms = [forecast.arm_of(cell.settings) for cell in cells]
                    step_s = dict(zip(arms, message["step_s"], strict=True))
                    store.calibrate({"step_s": step_s, "origin": message["origin"]})
                    return
    finally:
        crew.dismiss()


def _start(store: Store, options: Options) -> Message:
    return {
        "folder": str(store.folder.resolve()),
        "threads": options.threads,
        "device": options.device,
        "download": options.download,
    }


def _raise_fault(message: Message) -> None:
    if "fault" in message:
        raise Fault([Problem(**problem) for problem in message["fault"]["problems"]], message["fault"]["code"])


class Driver:
    """The planner of one study; lives while the study's lock is held."""

    def __init__(self, study: Study, store: Store, options: Options) -> None:
        self.study, self.store, self.options = study, store, options
        self.cells = study.cells()
        self.books = Books(store)
        self.pending: deque[Cell] = deque()
        self.stopped: int | None = None  # the exit code that a signal asked for
        self.reason = "the driver stopped"

    def run(self) -> int:
        """Hand out pending cells until there are none, the budget is spent, or a signal comes."""
        self._close_abandoned()
        self.pending = deque(self.books.pending(self.cells, retry=self.options.retry)[: self.options.limit])
        if self.pending:
            self._calibrate()
            jobs = min(self.options.jobs_for(self.study), len(self.pending))
            with progress_for(self.cells, self.books, jobs, self.options.total_budget_s) as progress:
                self._work(jobs, progress)
        return self.stopped or self._exit_code()

    def _close_abandoned(self) -> None:
        """Give each attempt whose driver vanished its end; the cell is pending again, its seconds are billed."""
        known = {cell.id: cell for cell in self.cells}
        for cell, attempt, ran_s in self.store.abandoned():
            if cell in known:  # a cell of another declaration keeps its lease until that one runs again
                result = failure("killed", "the driver ended without a word", "driver", ran_s)
                self.books.close(known[cell], result, attempt=attempt)

    def _calibrate(self) -> None:
        """Budgets in seconds become steps before the first step: time the arms that were never timed."""
        self.step_s: dict[str, float] = {}
        if self.study.budget.kind == "seconds":
            missing = forecast.uncalibrated(self.study, self.store, self.options.threads)
            if missing:
                _measure(self.store, self.options, missing)
            self.step_s = forecast.calibrated(self.store, self.options.threads)

    def _exit_code(self) -> int:
        status = self.books.outcomes()
        ends = [status.get(cell.id) for cell in self.cells]
        if None in ends:
            return INCOMPLETE
        broken = set(ends) & set(FAILED) - {"diverged"}  # a diverged cell scores chance, as declared: it is data
        return FAILED_CELLS if broken else DONE

    def _work(self, jobs: int, progress: Progress) -> None:
        crew = Crew(jobs, self.options.threads, _start(self.store, self.options))
        beat = time.monotonic()
        try:
            while self.stopped is None and (self.pending or any(worker.task for worker in crew.workers)):
                for worker in crew.workers:
                    if worker.task is None and self.pending:
                        self._hand_out(worker)
                for worker, message in crew.answers(0.2):
                    self._hear(worker, message, crew, progress)
                if time.monotonic() - beat > BEAT_S:
                    beat = time.monotonic()
                    self._beat(crew)
                    progress.tick()
        finally:
            working = [worker for worker in crew.workers if isinstance(worker.task, Cell)]
            crew.dismiss()
            for worker in working:
                self._end(worker, "interrupted", self.reason, "driver")

    def _hand_out(self, worker: Worker) -> None:
        cell = self.pending.popleft()
        limit = self.options.total_budget_s
        if limit is not None and self.books.spent_s + self.books.typical_s(cell) > limit:
            self.pending.clear()
            return
        message = {
            "do": "cell",
            "cell": cell_message(cell),
            "attempt": self.books.begin(cell, worker.process.pid),
            "step_s": self.step_s.get(forecast.arm_of(cell.settings), 0.0),
            "data_sha256": None if self.options.allow_mixed else self.books.data_sha256(cell),
        }
        worker.give(cell, message)

    def _hear(self, worker: Worker, message: Message | None, crew: Crew, progress: Progress) -> None:
        if message is None:
            self._bury(worker, progress)
            crew.hire()
            return
        _raise_fault(message)
        worker.task = None
        if "ready" in message:
            if not self.options.allow_mixed:
                origin.refuse_mixing(self.books.records, message["origin"])
        else:
            self.books.note(message["record"])
            progress.finished(message["record"], message["wall_s"])

    def _bury(self, worker: Worker, progress: Progress) -> None:
        """Book the end of a job that died, and give its cell another try."""
        cell, end = worker.task, worker.death()
        if cell == "start":
            do = "read the lines above; `fairtrial doctor` looks for the cause"
            raise fault(f"a job process could not start: {end}", "python -m fairtrial.job", do, REFUSED)
        if not isinstance(cell, Cell):
            return
        self._end(worker, "killed", end, "job")
        if cell.id in self.books.outcomes():  # it had just published, or it was ended for its time
            progress.finished(self.books.records[-1], time.monotonic() - worker.since)
        elif self.books.hopeless(cell):
            self.books.begin(cell, worker.process.pid)
            what = f"crash loop: {MOST_KILLS} attempts were killed, the last one because {end}"
            self.books.close(cell, failure("error", what, "job", 0.0), threads=self.options.threads)
            progress.finished(self.books.records[-1], time.monotonic() - worker.since)
        else:
            self.pending.appendleft(cell)

    def _beat(self, crew: Crew) -> None:
        for worker in crew.workers:
            if isinstance(worker.task, Cell):
                self.books.renew(worker.task)
                limit = self.options.cell_timeout_s
                if limit is not None and time.monotonic() - worker.since > limit:
                    self._end(worker, "timeout", f"the cell ran longer than {limit:g} s", "driver")
                    worker.process.kill()

    def _end(self, worker: Worker, status: str, why: str, where: str) -> None:
        result = failure(status, why, where, time.monotonic() - worker.since)
        self.books.close(worker.task, result, threads=self.options.threads)


@contextlib.contextmanager
def _signals(driver: Driver) -> Iterator[None]:
    """SIGINT stops with 130, SIGTERM and SIGUSR1 with 75; a second SIGINT leaves at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: Any) -> None:
        if number == signal.SIGINT and driver.stopped is not None:
            os._exit(INTERRUPTED)
        driver.stopped = INTERRUPTED if number == signal.SIGINT else PREEMPTED
        driver.reason = f"the driver got {signal.Signals(number).name}"

    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    before = [signal.signal(number, stop) for number in watched]
    try:
        yield
    finally:
        for number, handler in zip(watched, before, strict=True):
            signal.signal(number, handler)
