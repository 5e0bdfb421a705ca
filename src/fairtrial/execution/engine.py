"""What runs cells, behind one interface: processes of this machine, or actors of Ray on many.

An engine starts workers, gives them messages, yields their answers, and stops them. Which worker does what is
for its user (worker_pool.py) to keep; the messages are those of worker.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from fairtrial.execution.suspension import CLOCK
from fairtrial.study.study import Cell

Message = dict[str, Any]


@dataclass(frozen=True)
class Exit:
    """How a worker ended, in words. by_itself: it was not killed. machine_lost: its machine is gone.

    no_memory: the system killed it for lack of memory.
    """

    words: str
    by_itself: bool = False
    machine_lost: bool = False
    no_memory: bool = False


@dataclass(eq=False)
class Worker:
    """One worker, as its driver sees it.

    device: what it computes on, as torch calls it there. machine: where, None until that is known; "" is
    here. pid: its process there. begun: whether it got its first message. origin: where it runs, empty until
    it is ready. cell, attempt, since: its work. stopped_s: how long a signal kept it from working on it.
    doing: what it is at within the cell, in words. stop_reason: why the driver stopped it.
    """

    device: str = "cpu"
    machine: str | None = ""
    pid: int = 0
    begun: bool = False
    origin: Message = field(default_factory=dict, repr=False)
    cell: Cell | None = None
    attempt: int = 0
    since: float = 0.0
    stopped_s: float = 0.0
    doing: str = ""
    stop_reason: str | None = None

    def ran_s(self) -> float:
        """Return the seconds since the cell was handed out in which neither driver nor worker was stopped."""
        return CLOCK.now() - self.since - self.stopped_s


class Engine(Protocol):
    """What starts workers and carries messages; every one passes tests/execution/test_engines.py."""

    @property
    def size(self) -> int:
        """The most workers that it holds now."""

    def start(self, program: Sequence[str]) -> Worker:
        """Start a worker, a process of this program (arguments of Python); it waits for its first message."""

    def give(self, worker: Worker, message: Message) -> None:
        """Send a message; messages arrive whole and in order. One that is gone is noticed by its Exit."""

    def answers(self, timeout_s: float) -> Iterator[tuple[Worker, Message | Exit]]:
        """Yield what has come within a time: answers in their order, at last one Exit of each worker."""

    def stop(self, worker: Worker | None = None) -> None:
        """Kill a worker, whose Exit then comes; without one, all: they are gone then, others may start."""
