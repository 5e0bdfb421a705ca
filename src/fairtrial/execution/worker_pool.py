"""The processes that run cells: start them, hand out work, listen, end them."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from fairtrial.errors import RESOURCES, Fault, Problem, fault
from fairtrial.execution.signals import withheld

Message = dict[str, Any]
ENTRY: tuple[str, ...] = ("-m", "fairtrial.execution.worker")  # what Python runs as a job
MALLOC: Final = {  # glibc would hand each freed tensor of some MB back: a quarter of a step at batch 64
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
}
THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(eq=False)
class Worker:
    """One job process.

    device: what it computes on. task: what it works on. origin: where it runs, empty until it is ready.
    sentence: why the driver ended it.
    """

    process: subprocess.Popen[bytes]
    device: str = "cpu"
    task: Any = None
    attempt: int = 0
    since: float = 0.0
    origin: Message = field(default_factory=dict, repr=False)
    sentence: str | None = None
    buffer: bytes = field(default=b"", repr=False)

    def send(self, message: Message) -> None:
        """One JSON line to the job; a job that is gone is noticed when its output ends."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def give(self, task: Any, attempt: int, message: Message) -> None:
        """Hand out a task."""
        self.task, self.attempt, self.since = task, attempt, time.monotonic()
        self.send(message)

    def ran_s(self) -> float:
        """Seconds since the task was handed out."""
        return time.monotonic() - self.since

    def end(self, sentence: str) -> None:
        """Kill the job; its last words may still come, then its output ends."""
        self.sentence = sentence
        self.process.kill()

    def death(self) -> str:
        """How the ended process ended, in words."""
        code = self.process.wait()
        if code >= 0:
            return f"the job ended with exit code {code}"
        return f"the job was killed by signal {-code} ({signal.Signals(-code).name})"


class Crew:
    """Up to `size` job processes, each with `start` as its first message; they end with the `with` block.

    Where `start` names several devices, "cuda:0,cuda:1", a new job takes the one that has the fewest.
    """

    def __init__(self, size: int, threads: int, start: Message) -> None:
        self._environment = {**MALLOC, **os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
        if start["device"] != "cpu":  # cuBLAS repeats itself only with a fixed workspace
            self._environment.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        self._size, self._start = size, start
        self._selector = selectors.DefaultSelector()
        self.workers: list[Worker] = []

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self.dismiss()
        self._selector.close()

    def free(self) -> list[Worker]:
        """The jobs that wait for work."""
        return [w for w in self.workers if w.origin and w.task is None and w.sentence is None]

    def busy(self) -> list[Worker]:
        """The jobs that have work."""
        return [worker for worker in self.workers if worker.task is not None]

    def grow(self, wanted: int) -> None:
        """Start processes until there are as many as wanted or allowed."""
        while len(self.workers) < min(wanted, self._size):
            self._hire()

    def _hire(self) -> None:
        try:
            with withheld():  # a signal to the whole group reaches the driver alone: it decides
                process = subprocess.Popen(
                    [sys.executable, *ENTRY],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._environment,
                )  # fmt: skip
        except OSError as error:
            what = f"could not start a job process: {error.strerror}"
            raise fault(what, sys.executable, "use fewer --jobs, or end other programs", RESOURCES) from error
        taken = [worker.device for worker in self.workers]
        device = min(self._start["device"].split(","), key=taken.count)
        worker = Worker(process, device)
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)  # type: ignore[arg-type]
        self.workers.append(worker)
        worker.send({**self._start, "device": device})

    def answers(self, timeout_s: float) -> Iterator[tuple[Worker, Message | None]]:
        """(worker, message) of whatever has come; None when the worker has died. Faults are raised here."""
        for event, _ in self._selector.select(timeout_s):
            worker: Worker = event.data
            chunk = os.read(event.fd, 1 << 16)
            if not chunk:
                self._forget(worker)
                yield worker, None
                continue
            *lines, worker.buffer = (worker.buffer + chunk).split(b"\n")
            for line in lines:
                yield worker, _understood(line)

    def dismiss(self) -> None:
        """End every process at once; a cell in work stays pending."""
        for worker in self.workers:
            worker.process.kill()
        for worker in list(self.workers):
            worker.process.wait()
            self._forget(worker)

    def _forget(self, worker: Worker) -> None:
        self._selector.unregister(worker.process.stdout)  # type: ignore[arg-type]
        self.workers.remove(worker)
        for pipe in (worker.process.stdin, worker.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()  # type: ignore[union-attr]


def _understood(line: bytes) -> Message:
    message = json.loads(line)
    if "fault" in message:
        found = message["fault"]
        raise Fault([Problem(**problem) for problem in found["problems"]], found["code"])
    return message
