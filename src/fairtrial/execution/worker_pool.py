"""The workers of a run, on any engine: who is ready, free or busy, and which kernels each was told to use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any, Final

from fairtrial.errors import REFUSED, RESOURCES, Fault, Problem, fault
from fairtrial.execution.container import WORKER_BYTES
from fairtrial.execution.engine import Engine, Exit, Message, Worker
from fairtrial.execution.suspension import CLOCK
from fairtrial.screen import announce
from fairtrial.signals import Stop
from fairtrial.study.failure_policy import MOST_FAILED
from fairtrial.study.study import Cell

ENTRY: tuple[str, ...] = ("-m", "fairtrial.execution.worker")  # what Python runs as a worker
_READ_ABOVE: Final = ("a worker process", "read the lines above; `fairtrial doctor` may know more")
POLL_S: Final = 0.2  # seconds after which a driver that hears nothing looks at signals and time limits

Answer = tuple[Worker, Message | Exit]


class WorkerPool:
    """The workers of one engine, each with `first` as its first message; they end with the `with` block.

    The first worker of a device tries which kernels run there; others get its answer in their first message.
    kernels: device of this machine -> (kernels, why not our own), if known.
    """

    def __init__(
        self,
        engine: Engine,
        first: Message,
        *,
        kernels: Mapping[str, list[str | None]] | None = None,
    ) -> None:
        self._engine, self._first = engine, first
        self._kernels: dict[tuple[str | None, str], list[str | None]] = {
            ("", device): known for device, known in (kernels or {}).items()
        }
        self._failed_starts = 0
        self.workers: list[Worker] = []

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def size(self) -> int:
        """The most workers that the engine holds now."""
        return self._engine.size

    def free(self) -> list[Worker]:
        """Return the workers that wait for work."""
        return [w for w in self.workers if w.origin and w.cell is None and w.stop_reason is None]

    def busy(self) -> list[tuple[Worker, Cell]]:
        """Return the workers that run a cell, each with it."""
        return [(worker, worker.cell) for worker in self.workers if worker.cell is not None]

    def grow(self, wanted: int) -> None:
        """Start workers until there are as many as wanted or as the engine holds."""
        while len(self.workers) < min(wanted, self._engine.size):
            self.workers.append(self._engine.start(ENTRY))
        self._begin()

    def _begin(self) -> None:
        """Send the first message to whom it can be sent; meanwhile the others load their libraries."""
        for worker in self.workers:
            place = (worker.machine, worker.device)
            known = self._kernels.get(place)
            tried = any(other.begun for other in self.workers if (other.machine, other.device) == place)
            if worker.machine is not None and not worker.begun and (known or not tried):
                worker.begun = True
                self._engine.give(worker, {**self._first, "device": worker.device, "kernels": known})

    def give(self, worker: Worker, cell: Cell, attempt: int, message: Message) -> None:
        """Hand out a cell; the clock of its time limit starts."""
        worker.cell, worker.attempt = cell, attempt
        worker.since, worker.stopped_s, worker.doing = CLOCK.now(), 0.0, ""
        self._engine.give(worker, message)

    def answers(self, timeout_s: float) -> Iterator[Answer]:
        """Yield (worker, message) of whatever has come; an Exit when a worker has died. Faults are raised."""
        for worker, message in self._engine.answers(timeout_s):
            if isinstance(message, Exit):
                self.workers.remove(worker)
                self._refuse_failed_starts(worker, message)
            elif "fault" in message:
                problems = [Problem(**problem) for problem in message["fault"]["problems"]]
                raise Fault(problems, message["fault"]["code"])
            elif "origin" in message:
                self._take_ready(worker, message)
            elif "doing" in message:
                worker.doing = message["doing"]
                continue
            yield worker, message
        self._begin()

    def _take_ready(self, worker: Worker, message: Message) -> None:
        worker.origin = message["origin"]
        self._failed_starts = 0
        if "kernels" in message:  # only from the worker that has tried them
            self._kernels[worker.machine, worker.device] = message["kernels"]
            _, reason = message["kernels"]
            if reason:
                announce(f"kernels: torch's own, which are slower: {reason}")

    def _refuse_failed_starts(self, worker: Worker, end: Exit) -> None:
        """Refuse (exit 4) a worker that ended itself before it was ready, and the third that was killed."""
        if worker.origin or worker.stop_reason is not None or end.machine_lost:
            return
        self._failed_starts += 1
        if end.by_itself or self._failed_starts >= MOST_FAILED:
            what = f"a worker process could not start: {end.words}"
            if worker.doing:
                what += f" while it was {worker.doing}"
            if end.no_memory:
                do = f"allow more memory: a worker takes about {WORKER_BYTES >> 20} MB; or use fewer --jobs"
                raise fault(what, "a worker process", do, RESOURCES)
            raise fault(what, *_READ_ABOVE, REFUSED)

    def first_ready(self, stop: Stop) -> Worker | None:
        """Start one worker, where none waits, until it is ready, its origin known; None after a signal."""
        return next(iter(self.ready(1, stop)), None)

    def ready(self, count: int, stop: Stop) -> list[Worker]:
        """Start workers until so many wait, or as many as the engine holds; none after a signal."""
        while not stop:
            if len(free := self.free()) >= min(count, self._engine.size):
                return free
            self.grow(count)
            for _ in self.answers(POLL_S):
                pass
        return []

    def time_steps(
        self, workers: Sequence[Worker], arms: Mapping[Any, Cell], rounds: int, stop: Stop,
        tick: Callable[[], None] = lambda: None,
    ) -> dict[Any, list[float]] | None:  # fmt: skip
        """Let workers that wait launch arms, interleaved -> arm: seconds of a step; None after a signal.

        Several launch side by side, as cells run: cores that share a cache or a clock are slower together.
        tick: called while they do.
        """
        ask = {"do": "calibrate", "rounds": rounds, **_arms(arms)}
        found = self._ask(workers, ask, "rounds", stop, tick)
        if found is None:
            return None
        return {arm: [seconds for one in found for seconds in one[index]] for index, arm in enumerate(arms)}

    def time_looks(
        self, workers: Sequence[Worker], arms: Mapping[Any, Cell], stop: Stop
    ) -> dict[Any, dict[str, float]] | None:
        """Return arm -> what evaluating an image takes, the mean of the workers, and the size of its data."""
        found = self._ask(workers, {"do": "looks", **_arms(arms)}, "looks", stop)
        if found is None:
            return None
        return {
            arm: looks | {"image_s": fmean(one[index]["image_s"] for one in found)}
            for index, (arm, looks) in enumerate(zip(arms, found[0], strict=True))
            if looks
        }

    def _ask(
        self, workers: Sequence[Worker], message: Message, key: str, stop: Stop,
        tick: Callable[[], None] = lambda: None,
    ) -> list[Any] | None:  # fmt: skip
        """Give several workers one message -> what each answers under `key`; None after a signal."""
        for worker in workers:
            self._engine.give(worker, message)
        found: list[Any] = []
        while not stop:
            for heard, answer in self.answers(POLL_S):
                if heard in workers and isinstance(answer, Exit):
                    raise fault(f"the calibration stopped: {answer.words}", *_READ_ABOVE, REFUSED)
                if not isinstance(answer, Exit) and key in answer:
                    found.append(answer[key])
            if len(found) == len(workers):
                return found
            tick()
        return None

    def look(
        self, worker: Worker, cells: list[Message], stop: Stop, tell: Callable[[str], object] = str
    ) -> bool:
        """Let a worker that waits open what cells need, whose Fault is raised; False after a signal.

        tell: takes what it is at, in words.
        """
        worker.doing = ""
        self._engine.give(worker, {"do": "look", "cells": cells})
        while not stop:
            # one that died of it ends the cell too, with its own reason
            if any(heard is worker for heard, _ in self.answers(POLL_S)):
                return True
            if worker.doing:
                tell(worker.doing)
        return False

    def stop(self, worker: Worker | None = None, reason: str = "") -> None:
        """Kill one worker for a reason, whose Exit then comes; or all. A cell in work stays pending."""
        if worker is not None:
            worker.stop_reason = reason
        else:
            self.workers.clear()
        self._engine.stop(worker)


def _arms(arms: Mapping[Any, Cell]) -> Message:
    """How arms are named to a worker that times them."""
    cells = list(arms.values())
    return {"arms": [cell.settings.record() for cell in cells], "specs": [cell.data for cell in cells]}
