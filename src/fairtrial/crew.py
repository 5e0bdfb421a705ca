"""The processes that run cells: start them, hand out work, listen, end them."""

from __future__ import annotations

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

Message = dict[str, Any]
THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(eq=False)
class Worker:
    """One job process; `task` is what it works on, None when it is free."""

    process: subprocess.Popen[bytes]
    task: Any = None
    since: float = 0.0
    buffer: bytes = field(default=b"", repr=False)

    def send(self, message: Message) -> None:
        """One JSON line to the job; a job that is gone is noticed when its output ends."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def give(self, task: Any, message: Message) -> None:
        """Hand out a task."""
        self.task, self.since = task, time.monotonic()
        self.send(message)

    def death(self) -> str:
        """How the ended process ended, in words."""
        code = self.process.wait()
        if code >= 0:
            return f"the job ended with exit code {code}"
        return f"the job was killed by signal {-code} ({signal.Signals(-code).name})"


class Crew:
    """Up to `size` job processes, each with `start` as its first message."""

    def __init__(self, size: int, threads: int, start: Message) -> None:
        self._environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
        self._start = start
        self._selector = selectors.DefaultSelector()
        self.workers: list[Worker] = []
        for _ in range(size):
            self.hire()

    def hire(self) -> None:
        """Start one more process; it says that it is ready once torch is imported."""
        process = subprocess.Popen(
            [sys.executable, "-m", "fairtrial.job"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._environment,
        )  # fmt: skip
        worker = Worker(process, task="start", since=time.monotonic())
        worker.send(self._start)
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)  # type: ignore[arg-type]
        self.workers.append(worker)

    def answers(self, timeout_s: float) -> Iterator[tuple[Worker, Message | None]]:
        """(worker, message) of whatever has come; None when the worker has died."""
        for event, _ in self._selector.select(timeout_s):
            worker: Worker = event.data
            chunk = os.read(event.fd, 1 << 16)
            if not chunk:
                self._forget(worker)
                yield worker, None
                continue
            *lines, worker.buffer = (worker.buffer + chunk).split(b"\n")
            for line in lines:
                yield worker, json.loads(line)

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
            try:
                pipe.close()  # type: ignore[union-attr]
            except BrokenPipeError:
                pass
