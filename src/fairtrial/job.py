"""A process that runs cells one after the other: JSON lines in, attempt files and JSON lines out.

The driver (runner.py) starts it as `python -m fairtrial.job`. It ends when its input closes, so that no job
outlives its driver. Messages in: {"do": "start" | "cell" | "calibrate", ...}; every answer is one JSON line.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from fairtrial.budget import Budget
from fairtrial.errors import REFUSED, Fault, fault
from fairtrial.record import attempt_record, failure
from fairtrial.store import Store

Message = dict[str, Any]


def main() -> None:
    """Read messages until the input closes."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # the whole group gets them; the driver decides
    inbox: queue.Queue[Message] = queue.Queue()
    threading.Thread(target=_listen, args=(inbox,), daemon=True).start()
    answer = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints goes to stderr, not between our lines
    work = Job(inbox.get())
    say({"ready": True, "origin": work.origin}, answer)
    while True:
        message = inbox.get()
        try:
            handle = {"cell": work.cell, "calibrate": work.calibrate}[message["do"]]
            say(handle(message), answer)
        except Fault as error:
            say({"fault": error.record()}, answer)


def _listen(inbox: queue.Queue[Message]) -> None:
    for line in sys.stdin:
        inbox.put(json.loads(line))
    os._exit(0)  # the driver is gone: an unfinished cell stays pending


def say(message: Message, answer: Any) -> None:
    """One line to the driver."""
    answer.write(json.dumps(message) + "\n")
    answer.flush()


class Job:
    """What one process keeps between cells: the opened data and the description of where it runs."""

    def __init__(self, start: Message) -> None:
        import torch

        torch.set_num_threads(start["threads"])
        torch.use_deterministic_algorithms(start["device"] != "cpu")
        torch.backends.cudnn.benchmark = False
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False

        from fairtrial import origin, trial

        self.trial = trial
        self.place = trial.Place(device=start["device"], download=start["download"])
        self.store = Store(Path(start["folder"]))
        name = torch.cuda.get_device_name(start["device"]) if start["device"] != "cpu" else "cpu"
        self.origin = origin.gather(name, start["threads"])

    def cell(self, message: Message) -> Message:
        """Run one cell, publish its attempt, tell the driver what it needs to show."""
        cell, started = message["cell"], time.monotonic()
        self._check_data(cell, message["data_sha256"])
        result = self._run(cell, message["step_s"])
        wall_s = time.monotonic() - started
        record = attempt_record(self.store.name, cell, message["attempt"], result, self.origin)
        counted = self.store.publish(record)
        told = {"cell": cell["id"], "attempt": message["attempt"], "wall_s": wall_s, "superseded": not counted}
        return told | {"record": record}

    def _run(self, cell: Message, step_s: float) -> Message:
        started = time.monotonic()
        try:
            return self.trial.run_cell(
                cell["settings"], Budget.parse(cell["budget"]), cell["seed"], cell["replica"],
                cell["data"], self.place, step_s,
            )  # fmt: skip
        except Fault:
            raise
        except Exception as error:  # every other end of a cell is an outcome, and stays in n
            status = "oom" if _is_memory(error) else "error"
            lines = traceback.format_exception_only(error)[-1].strip()
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(frame.filename).name}:{frame.lineno}"
            return failure(status, lines[:2000], where, time.monotonic() - started)

    def _check_data(self, cell: Message, recorded: str | None) -> None:
        """The images must be those of the cells that are recorded already (exit 4)."""
        found = self.trial.dataset_of(cell["data"], cell["settings"]["resolution"], self.place.download).sha256
        if recorded is not None and recorded != found:
            what = f"the data changed: recorded cells saw sha256 {recorded[:12]}..., now it is {found[:12]}..."
            raise fault(what, cell["data"], "put the data back, or use another --results folder", REFUSED)

    def calibrate(self, message: Message) -> Message:
        """Seconds per step of each arm, interleaved; the driver writes them down."""
        arms, specs = message["arms"], message["specs"]
        seconds = dict(self.trial.calibrate(arms, specs, self.place))
        return {"step_s": [seconds[index] for index in range(len(arms))], "origin": self.origin}


def _is_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


if __name__ == "__main__":
    main()
