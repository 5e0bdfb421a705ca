"""The engine of one machine: each worker is a process of the driver, messages are JSON lines in its pipes."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from fairtrial.errors import RESOURCES, fault
from fairtrial.execution.container import memory_bytes, memory_kills, refuse_little_memory, unbound
from fairtrial.execution.engine import Exit, Message, Worker
from fairtrial.execution.process_environment import worker_environment
from fairtrial.execution.suspension import CLOCK, is_stopped
from fairtrial.installation import isolated_python
from fairtrial.signals import kill, withheld


class LocalProcesses:
    """Up to `size` processes on `device`; where it names several, "cuda:0,cuda:1", one takes the least taken.

    environment: variables beside the usual ones.
    """

    def __init__(
        self, size: int, threads: int, device: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self.size, self._devices = size, device.split(",")
        self._environment = worker_environment(threads, device) | dict(environment or {})
        self._selector: selectors.DefaultSelector | None = None  # while there are processes
        self._processes: dict[Worker, subprocess.Popen[bytes]] = {}
        self._unread: dict[Worker, bytes] = {}
        refuse_little_memory()
        self._memory_kills = memory_kills()
        self._looked = 0.0  # when it was last seen who is stopped
        self._heard: deque[tuple[Worker, Message | Exit]] = deque()

    def start(self, program: Sequence[str]) -> Worker:
        """Start a process; it inherits what is printed and no pipe of another one."""
        command = isolated_python(*program)
        try:
            with unbound(), withheld():  # a signal to the whole group reaches the driver alone: it decides
                process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._environment
                )
        except OSError as error:
            what = f"could not start a worker process: {error.strerror}"
            raise fault(what, sys.executable, "use fewer --jobs, or end other programs", RESOURCES) from error
        taken = [worker.device for worker in self._processes]
        worker = Worker(min(self._devices, key=taken.count), pid=process.pid)
        self._selector = self._selector or selectors.DefaultSelector()
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)  # type: ignore[arg-type]
        self._processes[worker], self._unread[worker] = process, b""
        return worker

    def give(self, worker: Worker, message: Message) -> None:
        """Write one JSON line to a process."""
        process = self._processes.get(worker)
        if process is None or process.stdin is None:
            return
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()

    def answers(self, timeout_s: float) -> Iterator[tuple[Worker, Message | Exit]]:
        """Yield whatever lines have come; an Exit when the output of a process ends."""
        wait_s = 0.0 if self._heard else timeout_s
        for event, _ in self._selector.select(wait_s) if self._selector else ():
            worker: Worker = event.data
            chunk = os.read(event.fd, 1 << 16)
            if not chunk:
                self._heard.append((worker, self._forget(worker)))
                continue
            *lines, self._unread[worker] = (self._unread[worker] + chunk).split(b"\n")
            self._heard.extend((worker, json.loads(line)) for line in lines)
        self._note_stopped()
        while self._heard:  # who listens may leave after any of them
            yield self._heard.popleft()

    def _note_stopped(self) -> None:
        """Count for each worker the seconds since the last look in which a signal had stopped it."""
        now = CLOCK.now()
        for worker in self._processes:
            if worker.cell is not None and is_stopped(worker.pid):
                worker.stopped_s += now - max(self._looked, worker.since)
        self._looked = now

    def stop(self, worker: Worker | None = None) -> None:
        """Kill one process with all that it has started, or each and wait; what it wrote may still come."""
        if worker is not None:
            if worker in self._processes:
                kill(worker.pid)
            return
        kill(*(each.pid for each in self._processes))
        for each in list(self._processes):
            self._forget(each)
        self._heard.clear()

    def _forget(self, worker: Worker) -> Exit:
        process = self._processes.pop(worker)
        del self._unread[worker]
        assert self._selector is not None
        self._selector.unregister(process.stdout)  # type: ignore[arg-type]
        if not self._processes:
            self._selector.close()
            self._selector = None
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()  # type: ignore[union-attr]
        return exit_of(process.wait(), memory_kills() > self._memory_kills)


def exit_of(code: int, no_memory: bool = False) -> Exit:
    """Return how a process ended, by its exit code as `subprocess` has it. no_memory: that ran out."""
    if code >= 0:
        return Exit(f"the worker ended with exit code {code}", by_itself=True)
    if code == -signal.SIGKILL and no_memory:
        room = f"{memory_bytes() >> 20:,} MB are allowed here"
        return Exit(f"the system killed the worker for lack of memory (signal 9); {room}", no_memory=True)
    return Exit(f"the worker was killed by signal {-code} ({signal.Signals(-code).name})")
