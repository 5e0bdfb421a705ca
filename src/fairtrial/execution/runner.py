"""The driver of one study: pending cells -> workers -> recorded attempts."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fairtrial.errors import DONE, FAILED_CELLS, INCOMPLETE, Fault
from fairtrial.execution import step_times
from fairtrial.execution.attempt_log import MACHINE, WORKER, AttemptLog
from fairtrial.execution.carried_files import keep_files
from fairtrial.execution.display.displays import Progress, progress_for
from fairtrial.execution.engine import Exit, Message, Worker
from fairtrial.execution.engines import changed_plugins, declaration_of, engine_of, first_message
from fairtrial.execution.first_look import declare_checked, may_declare
from fairtrial.execution.launches import Timekeeper
from fairtrial.execution.run_options import Options
from fairtrial.execution.suspension import CLOCK
from fairtrial.execution.worker_pool import POLL_S, WorkerPool
from fairtrial.failpoints import failpoint
from fairtrial.screen import announce
from fairtrial.signals import Stop
from fairtrial.storage import provenance
from fairtrial.storage.outcomes import of_study
from fairtrial.storage.record import Attempt, Json, cell_message, failure
from fairtrial.storage.store import Store
from fairtrial.study.identity import arm_key
from fairtrial.study.study import Cell, Study
from fairtrial.tuning.selection import resolve

BEAT_S: Final = 2.0  # seconds between renewals of the leases: what a crash can lose without a trace


@dataclass(frozen=True)
class Wanted:
    """The cells that a study wants by what is recorded so far, and lines that a person is told once.

    records: of other drivers. held_up: more is wanted after what those have not run. waits: ask again soon.
    """

    cells: Sequence[Cell]
    lines: tuple[str, ...] = ()
    records: Sequence[Attempt] = ()
    held_up: bool = False
    waits: bool = False


Schedule = Callable[[Mapping[str, Attempt]], Wanted]  # from cell -> the attempt that counts


def run(study: Study, options: Options, schedule: Schedule | None = None) -> int:
    """Run what is missing of a study; return the exit code. The same command resumes it after any stop.

    schedule: which cells are wanted now, asked anew whenever they all have an outcome; None: all of them.
    """
    store, stop = Store.of(study, options.results), Stop()
    announce(*changed_plugins(study, store))
    with stop.listening():
        if options.part is not None and not may_declare(Driver(study, store, options, stop, lambda: None)):
            return stop.code or INCOMPLETE
        with store.driving(study, options.part) as refuse_moved:
            return Driver(study, store, options, stop, refuse_moved, schedule).run()


class Driver:
    """The planner of one study; all but the look of a part happens while the study's lock is held."""

    def __init__(
        self, study: Study, store: Store, options: Options, stop: Stop,
        refuse_moved: Callable[[], None], schedule: Schedule | None = None,
    ) -> None:  # fmt: skip
        self.study, self.store, self.options, self.stop = study, store, options, stop
        self.refuse_moved = refuse_moved  # a Fault once the folder has moved
        self.schedule = schedule or (lambda _: Wanted(study.cells()))
        self.wanted: list[Cell] = []
        self.remaining = options.limit  # cells that may still be handed out; None: any number
        self.announced: set[str] = set()
        self.log = AttemptLog(store, study.failures)
        self.timekeeper = Timekeeper(study, store, stop)
        self.pending: deque[Cell] = deque()
        self.held_up = self.waits = False  # by and for cells of other drivers
        self.workers = contextlib.ExitStack()  # ends the pool
        self.pool: WorkerPool | None = None
        self.origin: Json = {}  # of the first worker that was ready
        self.exhausted = False  # the total budget has no room for another cell

    def run(self) -> int:
        """Hand out pending cells until there are none, the budget is spent, or a signal comes."""
        with self.workers:
            if not declare_checked(self):
                return self.stop.code or INCOMPLETE
            self._close_abandoned()
            self._more(retry=self.options.retry)
            if self.pending or self.waits or self.timekeeper.unchecked(self.wanted, self.log.counted):
                pool = self.start()
                if self.pending or self.waits:
                    self._run_pending(pool, min(pool.size, len(self.pending) or pool.size))
                self.timekeeper.check(pool, self.wanted, self.log.counted)
        for line in self.log.given_up_words(self.wanted):
            announce(f"failed: {line}; try again with --retry")
        failpoint("study-final-before")
        self.refuse_moved()
        return self.stop.code or self._exit_code()

    def start(self) -> WorkerPool:
        """Return the worker pool, which ends with the run."""
        if self.pool is None:
            first = first_message(
                self.study, self.store, self.options, declaration_of(self.store, self.study)
            )
            engine = engine_of(self.study, self.options, self.study.provisional().cells())
            self.pool = self.workers.enter_context(WorkerPool(engine, first))
        return self.pool

    def _run_pending(self, pool: WorkerPool, jobs: int) -> None:
        self._calibrate(pool)
        with progress_for(self.wanted, self.log, jobs, self.options.total_budget_s) as progress:
            self._work(pool, progress)

    def _more(self, *, retry: bool = False) -> bool:
        """Whether there is more to do: what the schedule wants now and has no outcome."""
        wanted = self.schedule(self.log.counted)
        for record in wanted.records:
            self.log.note(record)
        if wanted.records and self.origin and not self.options.allow_mixed:
            self._refuse_other_code(self.origin)
        self.held_up, self.waits = wanted.held_up, wanted.waits and self.remaining != 0
        for line in (line for line in wanted.lines if line not in self.announced):
            announce(line)
        self.announced.update(wanted.lines)
        self.wanted = list(wanted.cells)
        more = self.log.pending(self.wanted, retry=retry)[: self.remaining]
        self.remaining = None if self.remaining is None else self.remaining - len(more)
        self.pending.extend(more)
        return bool(more)

    def _close_abandoned(self) -> None:
        """End each attempt whose driver vanished; the cell is pending again, its seconds are billed."""
        ours = self.options.part and self.options.part.of_study(self.study)
        for lease, ran_s in self.store.abandoned():
            # with what may have run since the last renewal: a crash gives no free compute
            attempt = lease.closed(self.store.name, declaration_of(self.store), ran_s + BEAT_S + POLL_S)
            if ours is None or ours(attempt.cell, attempt.seed, attempt.settings.stage):
                self.log.publish(attempt)

    def _calibrate(self, pool: WorkerPool) -> None:
        """Budgets in seconds become steps before the first step: time the arms that were never timed here."""
        worker = pool.first_ready(self.stop) if self.timekeeper.counts_seconds else None
        if worker is None:
            return
        self.refuse_mixing(worker)
        self.timekeeper.time_missing(pool, worker, [*self.wanted, *self.study.provisional().cells()])

    def refuse_mixing(self, worker: Worker) -> None:
        """A Fault (exit 4) where a worker is unlike the records, or the first one, in what must be alike."""
        self.origin = self.origin or worker.origin
        one_cpu = self.options.ray is not None and self.timekeeper.counts_seconds
        if not self.options.allow_mixed:
            recorded = [each.provenance for each in self.log.records]
            provenance.refuse_mixing(recorded, worker.origin, one_cpu=one_cpu)
            self._refuse_other_code(worker.origin)
            provenance.refuse_unlike(self.origin, worker.origin, one_cpu=one_cpu)

    def _refuse_other_code(self, origin: Json) -> None:
        """A Fault (exit 4) where a run that verdicts will rest on is of another commit, whoever ran it."""
        used = of_study(resolve(self.study, self.log.counted)[0], self.log.counted)
        provenance.refuse_other_code([one.provenance for one in used], origin)

    def _exit_code(self) -> int:
        if self.held_up or self.log.pending(self.wanted):
            return INCOMPLETE
        return FAILED_CELLS if any(self.log.given_up(cell.id) for cell in self.wanted) else DONE

    def _work(self, pool: WorkerPool, progress: Progress) -> None:
        CLOCK.start()
        beat, reason = CLOCK.now(), None
        try:
            while not self.stop and (self.pending or pool.busy() or self._goes_on(progress)):
                self._hand_out(pool, progress)
                for worker, message in pool.answers(POLL_S):
                    self._hear(worker, message, progress)
                self._end_overdue(pool)
                if CLOCK.now() - beat > BEAT_S:
                    beat = CLOCK.now()
                    self.refuse_moved()
                    for worker, cell in pool.busy():
                        self.log.renew(cell, worker.attempt, worker.ran_s())
                progress.tick(pool.busy())
        except Fault as error:
            reason = str(error)
            raise
        finally:
            self._interrupt(pool, reason or self.stop.reason)

    def _goes_on(self, progress: Progress) -> bool:
        """Whether the schedule wants more after all of it has ended; nothing when the budget is spent."""
        if self.exhausted or not (self._more() or self.waits):
            return False
        progress.expect(self.wanted)
        return True

    def _hand_out(self, pool: WorkerPool, progress: Progress) -> None:
        for worker in pool.free():
            if self.pending and self._affordable(pool, self.pending[0]):
                self.timekeeper.time_seed(pool, worker, self.pending, lambda: progress.tick(()))
                if self.stop or worker not in pool.workers:
                    return
                self._give(pool, worker, self.pending.popleft())
        pool.grow(len(pool.busy()) + len(self.pending))

    def _affordable(self, pool: WorkerPool, cell: Cell) -> bool:
        """Whether the total budget has room for a cell beside what is spent and what runs; if not, stop."""
        if (limit := self.options.total_budget_s) is None:
            return True
        running = sum(max(worker.ran_s(), self.log.price(taken)) for worker, taken in pool.busy())
        if self.log.spent_s + running + self.log.price(cell) <= limit:
            return True
        self.pending.clear()
        self.exhausted = True
        return False

    def _give(self, pool: WorkerPool, worker: Worker, cell: Cell) -> None:
        step_s = step_times.step_time_of(cell, self.timekeeper.step_s)
        attempt = self.log.begin(cell, worker.pid, worker.origin)
        mixed = self.options.allow_mixed
        message = {
            "do": "cell",
            "cell": cell_message(cell),
            "weights_sha256": None if mixed else self.log.weights_sha256(cell),
            "attempt": attempt,
            "step_s": step_s,
            "way": self.timekeeper.way.get(arm_key(cell.settings), {}),
            "data_sha256": None if mixed else self.log.data_sha256(cell),
            "checkpoints": worker.machine == "",  # another machine may not see the folder
        }
        pool.give(worker, cell, attempt, message)

    def _hear(self, worker: Worker, message: Message | Exit, progress: Progress) -> None:
        if isinstance(message, Exit):
            self._handle_exit(worker, message, progress)
        elif "origin" in message:
            self.refuse_mixing(worker)
        elif "cell" in message:  # launches that a signal cut short may answer yet
            self._take_result(worker, message, progress)

    def _take_result(self, worker: Worker, message: Message, progress: Progress) -> None:
        """Publish what a worker has measured; the driver is the only writer of records."""
        cell = worker.cell
        if cell is None or (cell.id, worker.attempt) != (message["cell"], message["attempt"]):
            announce(f"superseded: attempt {message['attempt']} of cell {message['cell']} had been ended")
            return
        announce(*message["result"].get("lines", ()))
        keep_files(self.store, cell.id, worker.attempt, message)
        self._ended(cell, self._close(worker, message["result"]), message["wall_s"], progress)
        worker.cell = None

    def _ended(self, cell: Cell, record: Attempt, wall_s: float, progress: Progress) -> None:
        """Show how an attempt ended; a failed cell joins the end of the queue until it is given up."""
        progress.finished(record, wall_s)
        self.pending.extend(self.log.pending([cell]))

    def _handle_exit(self, worker: Worker, end: Exit, progress: Progress) -> None:
        """Record the end of a worker; its cell gets another attempt, unless it has an outcome by then."""
        if worker.cell is None:
            return
        result = failure("killed", end.words, MACHINE if end.machine_lost else WORKER, worker.ran_s())
        if worker.stop_reason is not None:
            result = failure("timeout", worker.stop_reason, "driver", worker.ran_s())
        self._ended(worker.cell, self._close(worker, result), worker.ran_s(), progress)

    def _end_overdue(self, pool: WorkerPool) -> None:
        limit = self.options.cell_timeout_s
        for worker, _ in pool.busy():
            if limit is not None and worker.ran_s() > limit and worker.stop_reason is None:
                pool.stop(worker, f"the cell ran longer than {limit:g} s")

    def _interrupt(self, pool: WorkerPool, reason: str) -> None:
        """Stop the workers; their cells stay pending. The next run finds leased what is not written."""
        busy = pool.busy()
        pool.stop()
        with contextlib.suppress(Fault):
            self.refuse_moved()
            if self.options.part is None:  # another part may be writing
                self.store.sweep()  # a worker that was killed as it kept its network leaves a temporary file
            for worker, _ in busy:
                with contextlib.suppress(Fault):
                    self._close(worker, failure("interrupted", reason, "driver", worker.ran_s()))

    def _close(self, worker: Worker, result: Json) -> Attempt:
        assert worker.cell is not None
        self.refuse_moved()
        return self.log.close(cell_message(worker.cell), worker.attempt, result, worker.origin)
