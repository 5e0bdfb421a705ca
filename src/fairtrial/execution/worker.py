"""A process that runs cells one after the other: JSON lines in, JSON lines out.

An engine (engine.py) starts it. It ends when its input closes, so that no worker outlives its driver. An
answer carries all of a result: the driver writes the record. A network that is kept lies in the folder named.
Messages in: the first, then {"do": "cell" | "look" | "calibrate" | "looks", ...}. Each answer is one line.
"""

from __future__ import annotations

import gc
import json
import os
import queue
import resource
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairtrial.errors import REFUSED, Fault, fault, out_of_memory
from fairtrial.execution.container import MEMORY_SHARE, memory_bytes
from fairtrial.execution.process_environment import best_instructions, unmap_unused_libraries
from fairtrial.execution.suspension import CLOCK
from fairtrial.failpoints import failpoint
from fairtrial.kernels import dispatch
from fairtrial.signals import end_with_parent
from fairtrial.storage import provenance
from fairtrial.storage.cell_checkpoints import of_study
from fairtrial.storage.download import telling
from fairtrial.storage.record import Json, failure
from fairtrial.storage.store import Store
from fairtrial.study.identity import canonical
from fairtrial.study.settings import Settings
from fairtrial.study.study import Cell

Message = dict[str, Any]


def main() -> None:
    """Read messages until the input closes."""
    end_with_parent()  # a long call may keep `_listen` from running
    inbox: queue.Queue[Message] = queue.Queue()
    threading.Thread(target=_listen, args=(inbox,), daemon=True).start()
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes to stderr, not between our lines
    # Before the first message: it may wait for another worker, which tries the kernels.
    gc.disable()  # what is imported stays: to look through it again and again takes time
    import fairtrial.execution.cell.calibration
    import fairtrial.execution.cell.run_cell  # noqa: F401

    gc.enable()
    first = inbox.get()
    CLOCK.start()

    def tell(doing: str) -> None:
        _say({"doing": doing}, answer)

    try:
        runner = CellRunner(first, tell)
    except Fault as error:
        _say({"fault": error.record()}, answer)
        return
    tried = {} if first["kernels"] else {"kernels": runner.kernels}
    _say({"origin": runner.origin, **tried}, answer)
    while True:
        message = inbox.get()
        try:
            does = {
                "cell": runner.run, "look": runner.look, "calibrate": runner.calibrate, "looks": runner.looks
            }  # fmt: skip
            with telling(tell):  # of what is downloaded
                _say(does[message["do"]](message), answer)
        except Fault as error:
            _say({"fault": error.record()}, answer)


def limit_memory() -> None:
    """Let an allocation beyond this machine or container fail, as a cell can, before the kernel kills us."""
    if sys.platform == "linux":
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        # torch reserves more than it uses; the limit is one of what is reserved
        _, used, _, _, _, reserved, _ = map(int, Path("/proc/self/statm").read_text().split())
        unused = max(0, reserved - used) * os.sysconf("SC_PAGE_SIZE")
        limit = int(MEMORY_SHARE * memory_bytes()) + unused
        resource.setrlimit(resource.RLIMIT_DATA, (limit if hard < 0 else min(limit, hard), hard))


def _listen(inbox: queue.Queue[Message]) -> None:
    for line in sys.stdin:
        inbox.put(json.loads(line))
    os._exit(0)  # the driver is gone: an unfinished cell stays pending


def _say(message: Message, answer: Any) -> None:
    answer.write(json.dumps(message) + "\n")
    answer.flush()


class CellRunner:
    """What one process keeps between cells: the opened data and the description of where it runs."""

    def __init__(self, first: Message, tell: Callable[[str], None]) -> None:
        from fairtrial.execution.cell import calibration, run_cell

        self.device, self.cells, self.calibration = first["device"], run_cell, calibration
        self.context = run_cell.ExecutionContext(
            self.device, first["download"], tuple(first["results"]), tell=tell
        )
        self.store = Store(Path(first["folder"]))
        if first["kernels"]:
            dispatch.adopt(self.device, dispatch.Choice(*first["kernels"]))
        warnings.simplefilter("ignore", dispatch.Slower)  # the driver says it
        self.kernels = dispatch.choose(self.device)
        name, flags = self._set_torch(first["threads"])
        where = provenance.gather(name, first["threads"], flags, self.kernels.kernels)
        self.origin = {"declaration": first["declaration"], **where, **self._plugins(first)}

    def _plugins(self, first: Message) -> dict[str, Any]:
        """Execute the plug-ins of the study; a Fault, before the first cell, names the line of one."""
        if not (records := first.get("plugins")):
            return {}
        from fairtrial.execution.cell.load_plugins import load_plugins

        return {"plugins": load_plugins(records, self.context.tell)}

    def _set_torch(self, threads: int) -> tuple[str, dict[str, Any]]:
        """The name of the device, and how torch is set: repeatable, in float32 throughout."""
        import torch

        torch.set_num_threads(threads)
        if self.device == "cpu":
            limit_memory()
            unmap_unused_libraries()
        else:  # a CPU repeats itself, and the call imports torch's compiler: 3.5 s
            torch.use_deterministic_algorithms(True)
            # Else each new tensor is written to first, of no use: every kernel fills what it makes.
            torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = False
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        return "cpu" if self.device == "cpu" else torch.cuda.get_device_name(self.device), {
            "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "tf32": torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32,
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "processor": best_instructions(),  # it may be kept from some
            "cuda": torch.version.cuda,
        }

    def run(self, message: Message) -> Message:
        """Run one cell and answer with its result."""
        cell, attempt, started = Cell.of(message["cell"]), message["attempt"], CLOCK.now()
        kept = self.store.weights(cell.id, attempt) if cell.settings.stage == "upstream" else None
        context = replace(
            self.context, weights_sha256=message["weights_sha256"], keep=kept, way=message["way"],
            checkpoints=self._resumable(attempt) if message.get("checkpoints") else None,
        )  # fmt: skip
        result = self._result(cell, message["step_s"], message["data_sha256"], context)
        wall_s = CLOCK.now() - started
        return {"cell": cell.id, "attempt": attempt, "result": result, "wall_s": wall_s}

    def _resumable(self, attempt: int) -> Any:
        """Where a cell keeps its checkpoints, and what it runs under."""
        return self.cells.Resumable(of_study(self.store.folder), attempt, provenance.made_under(self.origin))

    def _result(self, cell: Cell, step_s: float | None, data_sha256: str | None, context: Any) -> Json:
        started = CLOCK.now()
        try:
            failpoint("cell-start")
            self._check_data(cell, data_sha256)
            result = self.cells.run_cell(cell, context, step_s)
            canonical(result)  # a NaN cannot be recorded: better an error than a worker that dies of it
            return result
        except Fault:
            raise
        except Exception as error:  # every other end of a cell is an outcome, and stays in n
            lines = traceback.format_exception_only(error)[-1].strip()
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(frame.filename).name}:{frame.lineno}"
            status = "oom" if out_of_memory(error) else "error"
            return failure(status, lines, where, CLOCK.now() - started)

    def _check_data(self, cell: Cell, recorded: str | None) -> None:
        """The images must be those of the cells that are recorded already (exit 4)."""
        present = self.cells.dataset_of(cell.data, cell.settings.resolution, self.context.download).sha256
        if recorded is not None and recorded != present:
            what = f"the data changed: recorded cells saw sha256 {recorded[:12]}..., now {present[:12]}..."
            raise fault(what, cell.data, "put the data back, or use another --results folder", REFUSED)

    def look(self, message: Message) -> Message:
        """Open what cells need; a Fault where it cannot be had."""
        for cell in map(Cell.of, message["cells"]):
            with suppress(MemoryError, RuntimeError):  # an outcome of the cell, when it runs
                self.cells.look(cell, self.context)
        return {"looked": True}

    def calibrate(self, message: Message) -> Message:
        """Seconds per step of each launch of each arm, interleaved; the driver writes them down."""
        arms, specs = [Settings.of(arm) for arm in message["arms"]], message["specs"]
        rounds: list[list[float]] = [[] for _ in arms]
        for index, seconds in self.calibration.calibrate(arms, specs, self.context, message["rounds"]):
            rounds[index].append(seconds)
        return {"rounds": rounds}

    def looks(self, message: Message) -> Message:
        """What evaluating one image takes in each arm, and how many images its data has."""
        arms = [Settings.of(arm) for arm in message["arms"]]
        return {"looks": self.calibration.looks(arms, message["specs"], self.context)}


if __name__ == "__main__":
    main()
