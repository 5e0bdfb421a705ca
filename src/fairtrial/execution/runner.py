"""The hall between the wings: pending cells -> attempts -> store."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fairtrial.errors import DONE, FAILED_CELLS, INCOMPLETE, REFUSED, Fault, fault
from fairtrial.execution.attempt_log import Books
from fairtrial.execution.progress import Progress, announce, progress_for
from fairtrial.execution.signals import Stop
from fairtrial.execution.worker_pool import Crew, Message, Worker, cores
from fairtrial.installation import released
from fairtrial.kernels.compiler import own_kernels
from fairtrial.planning import forecast
from fairtrial.storage import provenance
from fairtrial.storage.record import Attempt, cell_message, failure
from fairtrial.storage.store import MOST_KILLS, Store
from fairtrial.study.failure_policy import OUTCOMES, RETRIED
from fairtrial.study.stopping import Asked
from fairtrial.study.study import Cell, Study

BEAT_S: Final = 2.0  # seconds between renewals of the leases: what a crash can lose without a trace
LOOK_S: Final = 0.2  # seconds after which a driver that hears nothing looks at signals and time limits
_LOOK_ABOVE: Final = ("python -m fairtrial.job", "read the lines above; `fairtrial doctor` may know more")


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
        """Side by side: one on each GPU; on CPUs as many as asked or as the cores hold, alone for seconds."""
        if self.device != "cpu":
            return self.device.count(",") + 1
        if study.budget.kind == "seconds":
            return 1
        return self.jobs or max(1, cores() // self.threads)


def run(study: Study, options: Options, ask: Callable[[], Asked] | None = None) -> int:
    """Run what is missing of a study; the exit code. The same command resumes it after any stop.

    ask: which cells the study's stopping rule wants now; asked anew whenever they all have an outcome.
    """
    store, stop = Store.of(study, options.results), Stop()
    with stop.listening(), store.locked():
        store.sweep()
        store.declare(study)
        return Driver(study, store, options, stop, ask).run()


def calibrate(study: Study, options: Options) -> None:
    """Measure the seconds of one step of each arm now, and write them down."""
    store = Store.of(study, options.results)
    with store.locked():
        _measure(store, options, forecast.arms_of(study.cells()), Stop())


def _measure(store: Store, options: Options, arms: dict[str, Cell], stop: Stop) -> None:
    cells = list(arms.values())
    announce(f"timing one step of each of {len(arms)} arms; this is done once")
    with Crew(1, options.threads, _start(store, options)) as crew:
        crew.grow(1)
        specs = {"arms": [cell.settings.record() for cell in cells], "specs": [cell.data for cell in cells]}
        crew.workers[0].send({"do": "calibrate", **specs})
        while not stop:
            for worker, message in crew.answers(LOOK_S):
                if message is None:
                    raise fault(f"the calibration stopped: {worker.death()}", *_LOOK_ABOVE, REFUSED)
                if "step_s" in message:
                    step_s = dict(zip(arms, message["step_s"], strict=True))
                    store.calibrate(step_s, message["origin"])
                    return


def _start(store: Store, options: Options) -> Message:
    return {
        "folder": str(store.folder.resolve()),
        "threads": options.threads,
        "device": options.device,
        "download": options.download,
        "results": [str(folder.resolve()) for folder in (options.results, *released())],
    }


class Driver:
    """The planner of one study; lives while the study's lock is held."""

    def __init__(
        self,
        study: Study,
        store: Store,
        options: Options,
        stop: Stop,
        ask: Callable[[], Asked] | None = None,
    ) -> None:
        self.study, self.store, self.options, self.stop, self.ask = study, store, options, stop, ask
        self.cells = study.cells()  # all of them; `wanted` are those that the stopping rule asks for
        self.wanted = self.cells
        self.left = options.limit  # cells that may still be handed out; None: any number
        self.said: set[str] = set()
        self.books = Books(store)
        self.pending: deque[Cell] = deque()
        self.step_s: dict[str, float] = {}
        self.failed_starts = 0
        self.said_slower = False
        self.broke = False  # the total budget has no room for another cell

    def run(self) -> int:
        """Hand out pending cells until there are none, the budget is spent, or a signal comes."""
        self._close_abandoned()
        self._more(retry=self.options.retry)
        if self.pending:
            self._calibrate()
            jobs = min(self.options.jobs_for(self.study), len(self.pending))
            with (
                progress_for(self.cells, self.books, jobs, self.options.total_budget_s) as progress,
                Crew(jobs, self.options.threads, _start(self.store, self.options)) as crew,
            ):
                self._work(crew, progress)
        return self.stop.code or self._exit_code()

    def _more(self, *, retry: bool = False) -> bool:
        """Whether there is more to do: all cells of a study, or those that its stopping rule asks for now."""
        if self.ask is not None:
            asked = self.ask()
            for words in asked.said:
                if words not in self.said:
                    self.said.add(words)
                    announce(words)
            self.wanted = [cell for cell in self.cells if cell.id in asked.cells]
        found = self.books.pending(self.wanted, retry=retry)[: self.left]
        self.left = None if self.left is None else self.left - len(found)
        self.pending.extend(found)
        return bool(found)

    def _close_abandoned(self) -> None:
        """End each attempt whose driver vanished; the cell is pending again, its seconds are billed."""
        for lease in self.store.abandoned():
            result = failure("killed", "the driver ended without a word", "driver", lease["ran_s"])
            self.books.close(lease["cell"], lease["attempt"], result, lease["origin"])

    def _calibrate(self) -> None:
        """Budgets in seconds become steps before the first step: time the arms that were never timed here."""
        if self.study.budget.kind == "seconds":
            device = self.options.device
            here = (self.store, self.options.threads, device, own_kernels(device)[0])
            known = forecast.calibrated(*here)
            missing = {arm: cell for arm, cell in forecast.arms_of(self.cells).items() if arm not in known}
            if missing:
                _measure(self.store, self.options, missing, self.stop)
            self.step_s = forecast.calibrated(*here)

    def _exit_code(self) -> int:
        status = self.books.outcomes()
        ends = [status.get(cell.id) for cell in self.wanted]
        if None in ends:
            return INCOMPLETE
        # a divergence scores chance, as declared: it is data
        return FAILED_CELLS if set(ends) & set(RETRIED) else DONE

    def _work(self, crew: Crew, progress: Progress) -> None:
        beat, reason = time.monotonic(), None
        try:
            while not self.stop and (self.pending or crew.busy() or self._goes_on()):
                self._hand_out(crew, progress)
                for worker, message in crew.answers(LOOK_S):
                    self._hear(worker, message, progress)
                self._end_overdue(crew)
                if time.monotonic() - beat > BEAT_S:
                    beat = time.monotonic()
                    for worker in crew.busy():
                        self.books.renew(worker.task, worker.attempt, worker.ran_s())
                    progress.tick()
        except Fault as error:
            reason = str(error)
            raise
        finally:
            self._interrupt(crew, reason or self.stop.reason)

    def _goes_on(self) -> bool:
        """Whether a look asks for more; nothing does without a stopping rule, or when the money is spent."""
        return self.ask is not None and not self.broke and self._more()

    def _hand_out(self, crew: Crew, progress: Progress) -> None:
        for worker in crew.free():
            while self.pending and self.books.hopeless(self.pending[0]):
                self._give_up(worker, self.pending.popleft(), progress)
            if self.pending and self._affordable(crew, self.pending[0]):
                self._give(worker, self.pending.popleft())
        crew.grow(len(crew.busy()) + len(self.pending))

    def _affordable(self, crew: Crew, cell: Cell) -> bool:
        """Whether the total budget has room for a cell beside what is spent and what runs; if not, stop."""
        limit = self.options.total_budget_s
        if limit is None:
            return True
        running = sum(max(worker.ran_s(), self._price(worker.task)) for worker in crew.busy())
        if self.books.spent_s + running + self._price(cell) <= limit:
            return True
        self.pending.clear()
        self.broke = True
        return False

    def _price(self, cell: Cell) -> float:
        """Device seconds that a cell will cost; 0 while nothing is known."""
        return self.books.typical_s(cell) or (cell.budget.amount if cell.budget.kind == "seconds" else 0.0)

    def _give(self, worker: Worker, cell: Cell) -> None:
        attempt = self.books.begin(cell, worker.process.pid, worker.origin)
        mixed = self.options.allow_mixed
        message = {
            "do": "cell",
            "cell": cell_message(cell),
            "weights_sha256": None if mixed else self.books.weights_sha256(cell),
            "attempt": attempt,
            "step_s": self.step_s.get(forecast.arm_of(cell.settings), 0.0),
            "data_sha256": None if mixed else self.books.data_sha256(cell),
        }
        worker.give(cell, attempt, message)

    def _give_up(self, worker: Worker, cell: Cell, progress: Progress) -> None:
        attempt = self.books.begin(cell, os.getpid(), worker.origin)
        result = failure("error", f"crash loop: {MOST_KILLS} attempts took their job down", "job", 0.0)
        progress.finished(self.books.close(cell_message(cell), attempt, result, worker.origin), 0.0)

    def _hear(self, worker: Worker, message: Message | None, progress: Progress) -> None:
        if message is None:
            self._bury(worker, progress)
        elif "ready" in message:
            self.failed_starts = 0
            worker.origin = message["origin"]
            self._say_kernels(message.get("slower"))
            if not self.options.allow_mixed:
                provenance.refuse_mixing(
                    [attempt.provenance for attempt in self.books.records], worker.origin
                )
        else:
            worker.task = None
            progress.finished(self.books.take(message["cell"], message["attempt"]), message["wall_s"])

    def _say_kernels(self, slower: str | None) -> None:
        """Once, when our own kernels cannot be had: the study runs, at another speed."""
        if slower and not self.said_slower:
            self.said_slower = True
            announce(f"kernels: torch's own, which are slower: {slower}")

    def _bury(self, worker: Worker, progress: Progress) -> None:
        """Book the end of a job that died; its cell gets another try, unless it has an outcome by then."""
        end = worker.death()
        if not worker.origin:
            self.failed_starts += 1
            if worker.process.returncode >= 0 or self.failed_starts >= MOST_KILLS:
                raise fault(f"a job process could not start: {end}", *_LOOK_ABOVE, REFUSED)
        if worker.task is None:
            return
        if worker.sentence is None:
            record = self._close(worker, "killed", end, "job")
        else:
            record = self._close(worker, "timeout", worker.sentence, "driver")
        if record.status in OUTCOMES:
            progress.finished(record, worker.ran_s())
        else:
            self.pending.appendleft(worker.task)

    def _end_overdue(self, crew: Crew) -> None:
        limit = self.options.cell_timeout_s
        for worker in crew.busy():
            if limit is not None and worker.ran_s() > limit and worker.sentence is None:
                worker.end(f"the cell ran longer than {limit:g} s")

    def _interrupt(self, crew: Crew, reason: str) -> None:
        """End the jobs; their cells stay pending. What cannot be written now, the next run finds leased."""
        working = crew.busy()
        crew.dismiss()
        self.store.sweep()  # a job that was killed while it published leaves a temporary file
        for worker in working:
            with contextlib.suppress(Fault):
                self._close(worker, "interrupted", reason, "driver")

    def _close(self, worker: Worker, status: str, why: str, where: str) -> Attempt:
        result = failure(status, why, where, worker.ran_s())
        return self.books.close(cell_message(worker.task), worker.attempt, result, worker.origin)
