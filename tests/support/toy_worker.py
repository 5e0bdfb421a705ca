"""A real worker process (execution/worker.py) whose trainer is a toy: no torch, a cell takes milliseconds.

Run by path in place of the module. TOY is a JSON table from "norm seed" to a name in ACTS.
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
import types
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from fairtrial.errors import fault
from fairtrial.execution.ways import LAYOUTS
from fairtrial.kernels import dispatch
from fairtrial.storage import provenance

STEPS = 20
STEP_S = {"bn": 0.01, "gn": 0.02, "ln": 0.01}  # of one launch


def Resumable(*_):
    """Nothing: a toy cell is over before it could keep anything."""


@dataclass
class ExecutionContext:
    device: str
    download: bool
    results: tuple
    weights_sha256: str | None = None
    keep: Path | None = None
    way: dict | None = None
    checkpoints: object = None
    tell: object = str


_ran = itertools.count(1)


def run_cell(cell, context, step_s=None):
    """Twenty steps towards the mean of a few numbers, drawn from what identifies the cell."""
    settings, seed = cell.settings, cell.seed
    if next(_ran) == 2 and "TOY_CLOCK" in os.environ:  # by so many seconds the wall clock jumps
        usual, jump = time.time, float(os.environ["TOY_CLOCK"])
        time.time = lambda: usual() + jump
    act = json.loads(os.environ.get("TOY", "{}")).get(f"{settings.norm} {seed}")
    if act is not None:
        ACTS[act]()
    time.sleep(float(os.environ.get("TOY_SLEEP_S", "0")))
    draws = random.Random(json.dumps([settings.record(), str(cell.budget), seed, cell.replica]))
    weight = draws.random()
    for _ in range(STEPS):
        weight -= 0.1 * (weight - draws.random())
    steps = cell.budget.steps_for(settings.batch_size, step_seconds=step_s or 0.0)
    measured = {
        "classes": 10,
        "train_loss": float("nan") if act == "nan" else weight,
        "val_acc": 1 - weight if settings.stage == "tuning" else None,
        "val_curve": [[steps, 1 - weight, weight]] if settings.stage == "tuning" else None,
        "test_acc": weight,
        "test_loss": 1 - weight,
        "test_reads": 1,
        "weights_sha256": hashlib.sha256(repr(weight).encode()).hexdigest(),
    }
    spent = {
        "steps": steps,
        "examples": steps * settings.batch_size,
        "flops": 0,
        "train_s": json.loads(os.environ.get("TOY_TRAIN_S", "{}")).get(f"{settings.norm} {seed}", 1.0),
        "eval_s": 0.0,
        "load_s": 0.0,
        "lost_s": 0.0,
    }
    spent |= {"parameters": 1, "calibrated_step_s": step_s}
    return {
        "status": "done",
        "spent": spent,
        "measured": measured,
        "drawn": {"data": dataset_of(cell.data, 8, False).sha256, **context.way},
    }


def look(cell, context):
    if os.environ.get("TOY_MISSING", "nothing") in cell.data:
        raise fault("the images cannot be read", cell.data, "give others", 3)


def dataset_of(spec, resolution, download):
    return SimpleNamespace(sha256=os.environ.get("TOY_DATA", "d" * 64))


_sessions = itertools.count()


def calibrate(arms, specs, context, rounds):
    session = next(_sessions)
    if os.environ.get("TOY_CALIBRATE"):
        ACTS[os.environ["TOY_CALIBRATE"]]()
    for number in range(rounds):
        for index, arm in enumerate(arms):
            way = os.environ.get("TOY_LAUNCHES")
            noise = 4.0 ** ((number + index) % 2) if way == "noisy" else 1.0
            slower = 2.0 if way in LAYOUTS and arm.layout != way else 1.0
            if way == "drifting":
                slower = (1.03 if arm.norm == "bn" else 1.0001) ** session
            yield index, STEP_S[arm.norm] * noise * slower


def looks(arms, specs, context):
    """Half a second for each image."""
    return [{"image_s": 0.5, "classes": 10, "train_n": 1000, "test_n": 20} for _ in arms]


def _raise(error):
    raise error


def _beside(act):
    """Do it while a process of its own runs, and leave the ids of both."""
    child = subprocess.Popen(["sleep", "600"])
    with Path(os.environ["TOY_MARK"]).open("a") as file:
        file.write(f"{os.getpid()} {child.pid} ")
    ACTS[act]()


def _once(act):
    """Do it in the first attempt alone, by leaving a mark."""
    mark = Path(os.environ["TOY_MARK"])
    if not mark.exists():
        mark.touch()
        ACTS[act]()


def _wait_for(mark):
    """Until a test makes this file, however long the machine takes for the rest."""
    while not Path(mark).exists():
        time.sleep(0.05)


ACTS = {
    "raise": lambda: _raise(ValueError("boom")),
    "bad name": lambda: _raise(ValueError("no file 'caf\udce9.png'")),
    "memory": lambda: _raise(MemoryError()),
    "torch memory": lambda: _raise(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ...")),
    "nan": lambda: None,
    "exit": lambda: os._exit(3),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "kill once": lambda: _once("kill"),
    "wait": lambda: _wait_for(os.environ["TOY_MARK"]),
    "wait longer": lambda: _wait_for(os.environ["TOY_MARK"] + ".longer"),
    "hang": lambda: time.sleep(60),
    "stuck": lambda: ctypes.PyDLL(None).sleep(60),  # holds the interpreter: no other thread runs
    "hang beside a process": lambda: _beside("hang"),
    "stuck beside a process": lambda: _beside("stuck"),
    "chat": lambda: (print("x" * 100_000), os.write(1, b'{"ready": 1}\n')),
}


def main():
    os.environ.update(json.loads(sys.argv[1]) if len(sys.argv) > 1 else {})
    if "TOY_HITS" in os.environ:  # then `toy.start` has set the path for it
        from tests.support.toy import note_hits

        note_hits()
    time.sleep(float(os.environ.get("TOY_START_S", "0")))
    dispatch.LONGEST_S["cpu"] = float(os.environ.get("TOY_LONGEST_S", "60"))
    if "TOY_TRIES" not in os.environ:  # the kernels: each trial is a process, and a toy computes with none
        dispatch.adopt("cpu", dispatch.Choice("compiled", None))
    if "TOY_CPU" in os.environ:
        provenance.cpu_model = lambda: os.environ["TOY_CPU"]
    cuda = SimpleNamespace(matmul=SimpleNamespace(allow_tf32=False))
    torch = types.ModuleType("torch")
    torch.set_num_threads = torch.use_deterministic_algorithms = lambda value: None
    torch.are_deterministic_algorithms_enabled = lambda: False
    torch.backends = SimpleNamespace(
        cuda=cuda, cudnn=SimpleNamespace(), cpu=SimpleNamespace(get_cpu_capability=str)
    )
    torch.cuda = SimpleNamespace(get_device_name=str)
    torch.utils = SimpleNamespace(deterministic=SimpleNamespace())
    torch.version = SimpleNamespace(cuda=None)
    cells = types.ModuleType("fairtrial.execution.cell.run_cell")
    cells.run_cell, cells.dataset_of, cells.ExecutionContext = run_cell, dataset_of, ExecutionContext
    cells.look = look
    cells.Resumable = Resumable
    calibration = types.ModuleType("fairtrial.execution.cell.calibration")
    calibration.calibrate, calibration.looks = calibrate, looks
    sys.modules |= {
        "torch": torch,
        "fairtrial.execution.cell.run_cell": cells,
        "fairtrial.execution.cell.calibration": calibration,
    }

    import fairtrial.execution.cell
    from fairtrial.execution import worker

    fairtrial.execution.cell.run_cell, fairtrial.execution.cell.calibration = cells, calibration
    worker.main()


if __name__ == "__main__":
    main()
