"""The processes that run cells: start them, hand out work, listen, stop them."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fairtrial.errors import REFUSED, RESOURCES, Fault, Problem, fault
from fairtrial.execution.process_environment import worker_environment
from fairtrial.execution.progress import announce
from fairtrial.execution.signals import Stop, withheld
from fairtrial.installation import isolated_python
from fairtrial.study.failure_policy import MOST_FAILED
from fairtrial.study.study import Cell

Message = dict[str, Any]
ENTRY: tuple[str, ...] = ("-m", "fairtrial.execution.worker")  # what Python runs as a worker
_READ_ABOVE: Final = ("a worker process", "read the lines above; `fairtrial doctor` may know more")
POLL_S: Final = 0.2  # seconds after which a driver that hears nothing looks at signals and time limits


@dataclass(eq=False)
class WorkerProcess:
    """One worker, as its driver sees it.

    device: what it computes on. begun: whether it got its first message. origin: where it runs, empty until
    it is ready. cell, attempt, since: its work. stop_reason: why the driver stopped it.
    """

    process: subprocess.Popen[bytes]
    device: str = "cpu"
    begun: bool = False
    origin: Message = field(default_factory=dict, repr=False)
    cell: Cell | None = None
    attempt: int = 0
    since: float = 0.0
    stop_reason: str | None = None
    unread: bytes = field(default=b"", repr=False)

    def send(self, message: Message) -> None:
        """Write one JSON line to the worker; one that is gone is noticed when its output ends."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def give(self, cell: Cell, attempt: int, message: Message) -> None:
        """Hand out a cell."""
        self.cell, self.attempt, self.since = cell, attempt, time.monotonic()
        self.send(message)

    def ran_s(self) -> float:
        """Return the seconds since the cell was handed out."""
        return time.monotonic() - self.since

    def stop(self, reason: str) -> None:
        """Kill the worker; what it has written may still come, then its output ends."""
        self.stop_reason = reason
        self.process.kill()

    def exit_words(self) -> str:
        """Return how the ended process ended, in words."""
        code = self.process.wait()
        if code >= 0:
            return f"the worker ended with exit code {code}"
        return f"the worker was killed by signal {-code} ({signal.Signals(-code).name})"


class WorkerPool:
    """Up to `size` workers, each with `first` as its first message; they end with the `with` block.

    Where `first` names several devices, "cuda:0,cuda:1", a new worker takes the one that has the fewest. The
    first worker of a device tries which kernels run there; others get its answer in their first message.
    environment: variables beside the usual ones. kernels: device -> (kernels, why not our own), if known.
    """

    def __init__(
        self,
        size: int,
        threads: int,
        first: Message,
        *,
        environment: Mapping[str, str] | None = None,
        kernels: Mapping[str, list[str | None]] | None = None,
    ) -> None:
        self._environment = worker_environment(threads, first["device"]) | dict(environment or {})
        self._size, self._first = size, first
        self._kernels = dict(kernels or {})  # device -> what its first worker found
        self._failed_starts = 0
        self._selector = selectors.DefaultSelector()
        self.workers: list[WorkerProcess] = []

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._selector.close()

    def free(self) -> list[WorkerProcess]:
        """Return the workers that wait for work."""
        return [w for w in self.workers if w.origin and w.cell is None and w.stop_reason is None]

    def busy(self) -> list[tuple[WorkerProcess, Cell]]:
        """Return the workers that run a cell, each with it."""
        return [(worker, worker.cell) for worker in self.workers if worker.cell is not None]

    def grow(self, wanted: int) -> None:
        """Start processes until there are as many as wanted or allowed."""
        while len(self.workers) < min(wanted, self._size):
            self._start_one()
        self._begin()

    def _start_one(self) -> None:
        try:
            with withheld():  # a signal to the whole group reaches the driver alone: it decides
                process = subprocess.Popen(
                    isolated_python(*ENTRY),
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._environment,
                )  # fmt: skip
        except OSError as error:
            what = f"could not start a worker process: {error.strerror}"
            raise fault(what, sys.executable, "use fewer --jobs, or end other programs", RESOURCES) from error
        taken = [worker.device for worker in self.workers]
        worker = WorkerProcess(process, min(self._first["device"].split(","), key=taken.count))
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)  # type: ignore[arg-type]
        self.workers.append(worker)

    def _begin(self) -> None:
        """Send the first message to whom it can be sent; meanwhile the others load their libraries."""
        for worker in self.workers:
            known = self._kernels.get(worker.device)
            tried = any(other.begun for other in self.workers if other.device == worker.device)
            if not worker.begun and (known or not tried):
                worker.begun = True
                worker.send({**self._first, "device": worker.device, "kernels": known})

    def answers(self, timeout_s: float) -> Iterator[tuple[WorkerProcess, Message | None]]:
        """Yield (worker, message) of whatever has come; None when the worker has died. Faults are raised."""
        for event, _ in self._selector.select(timeout_s):
            worker: WorkerProcess = event.data
            chunk = os.read(event.fd, 1 << 16)
            if not chunk:
                self._forget(worker)
                self._refuse_failed_starts(worker)
                yield worker, None
                continue
            *lines, worker.unread = (worker.unread + chunk).split(b"\n")
            for line in lines:
                message = _parsed(line)
                if "origin" in message:
                    self._take_ready(worker, message)
                yield worker, message

    def _take_ready(self, worker: WorkerProcess, message: Message) -> None:
        worker.origin = message["origin"]
        self._failed_starts = 0
        if "kernels" in message:  # only from the worker that has tried them
            self._kernels[worker.device] = message["kernels"]
            _, reason = message["kernels"]
            if reason:
                announce(f"kernels: torch's own, which are slower: {reason}")
            self._begin()

    def _refuse_failed_starts(self, worker: WorkerProcess) -> None:
        """Refuse (exit 4) a worker that ended itself before it was ready, and the third that was killed."""
        if worker.origin or worker.stop_reason is not None:
            return
        self._failed_starts += 1
        end = worker.exit_words()
        if worker.process.returncode >= 0 or self._failed_starts >= MOST_FAILED:
            raise fault(f"a worker process could not start: {end}", *_READ_ABOVE, REFUSED)

    def first_ready(self, stop: Stop) -> WorkerProcess | None:
        """Start one worker and wait until it is ready, its origin known; None after a signal."""
        while not stop:
            self.grow(1)
            for worker, message in self.answers(POLL_S):
                if message is not None:
                    return worker
        return None

    def time_steps(
        self, worker: WorkerProcess, arms: Mapping[Any, Cell], rounds: int, stop: Stop
    ) -> dict[Any, list[float]] | None:
        """Let a worker that waits launch arms, interleaved -> arm: seconds of a step; None after a signal."""
        cells = list(arms.values())
        settings, specs = [cell.settings.record() for cell in cells], [cell.data for cell in cells]
        worker.send({"do": "calibrate", "arms": settings, "specs": specs, "rounds": rounds})
        while not stop:
            for heard, message in self.answers(POLL_S):
                if heard is worker and message is None:
                    raise fault(f"the calibration stopped: {worker.exit_words()}", *_READ_ABOVE, REFUSED)
                if message and "rounds" in message:
                    return dict(zip(arms, message["rounds"], strict=True))
        return None

    def stop(self) -> None:
        """Kill every process at once; a cell in work stays pending."""
        for worker in self.workers:
            worker.process.kill()
        for worker in list(self.workers):
            worker.process.wait()
            self._forget(worker)

    def _forget(self, worker: WorkerProcess) -> None:
        self._selector.unregister(worker.process.stdout)  # type: ignore[arg-type]
        self.workers.remove(worker)
        for pipe in (worker.process.stdin, worker.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()  # type: ignore[union-attr]


def _parsed(line: bytes) -> Message:
    message = json.loads(line)
    if "fault" in message:
        problems = [Problem(**problem) for problem in message["fault"]["problems"]]
        raise Fault(problems, message["fault"]["code"])
    return message
