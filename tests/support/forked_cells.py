"""A process that loads torch once, then forks a child for each cell: a child may be killed at any step.

Requests are lines of JSON on stdin, answers lines with the child's exit status. `every`: steps between two
checkpoints. `dropped`: an item of the state that a resumed child loses (DROPS). `threads`: of torch.
`hits`: a file to note each failpoint in. `room`: bytes that a file may have.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from fairtrial.storage.record import is_timing
from tests.support.toy import HitCounter

ROOT = Path(__file__).parents[2]
MADE = {"fairtrial": "0", "commit": "c", "dirty": None, "torch": "2", "threads": 1, "kernels": "torch"}


class Cells:
    """The test's side: runs cells in children of one forking process."""

    def __init__(self, *loaded: str) -> None:
        """loaded: modules that each child would import anew."""
        path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__)), *loaded],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"},
        )  # fmt: skip

    def run(self, out: Path, cell, folder: Path | None, attempt: int = 1, **how):
        """(exit status, what the cell gave); None where the child was killed."""
        out.unlink(missing_ok=True)
        place = {"folder": None if folder is None else str(folder), "attempt": attempt, "made": MADE}
        request = {"out": str(out), "cell": cell.record(), "every": 3, **place, **how}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        return status, json.loads(out.read_text()) if out.exists() else None

    def stop(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()


def repeats(result):
    """All of a result that must be the same: every weight, buffer, velocity and loss, and the record."""
    spent = {name: value for name, value in result["spent"].items() if not is_timing(name)}
    return {name: result[name] for name in ("status", "measured", "drawn", "arrays")} | {"spent": spent}


def main() -> None:
    import torch

    torch.set_num_threads(1)
    from fairtrial.execution.cell import run_cell
    from fairtrial.kernels.dispatch import choose
    from fairtrial.models.resnet import MODELS, Spec

    choose("cpu")  # each child would try the kernels anew, in a process of its own
    MODELS["mini"] = Spec((1, 1), 16, small_images=True)  # every kind of layer, in a third of the time
    images = run_cell.dataset_of("digits", 8, False)  # and each child would read them
    few = {name: getattr(images, name)[:64] for name in ("test_images", "test_labels")}
    run_cell.dataset_of = lambda *_: replace(images, **few)  # to look at all is a fifth of a cell
    for name in sys.argv[1:]:
        import_module(name)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            child(json.loads(line))
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
        answers.flush()


def child(request: dict) -> None:
    try:
        run_one(request)
    except BaseException as error:
        import traceback

        resource.setrlimit(resource.RLIMIT_FSIZE, resource.getrlimit(resource.RLIMIT_FSIZE)[1:] * 2)
        traceback.print_exc()
        os._exit(getattr(error, "code", 1))
    os._exit(0)


def run_one(request: dict) -> None:
    import torch

    from fairtrial import failpoints
    from fairtrial.execution.cell import cell_function, resume, run_cell
    from fairtrial.execution.cell.load_plugins import load_plugins
    from fairtrial.study.study import Cell
    from fairtrial.training.loop import State

    torch.set_num_threads(request.get("threads", 1))
    if request.get("failpoint"):
        failpoints._set = failpoints.Failpoint(request["failpoint"])
    if request.get("hits"):
        failpoints._set = HitCounter(Path(request["hits"]))
    if "room" in request:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["room"], resource.RLIM_INFINITY))
    resume.LEAST_S = -1.0
    resume.Keeper._affordable = lambda self, state: state.step % request["every"] == 0
    seen: list[State] = []
    for watch in (resume.Keeper, resume.Steps):
        note(watch, seen)
    cell_function.keeper_of = lambda cell, where, ledger: (  # without checkpoints too, to see the last state
        resume.Steps() if where is None else resume.Keeper(where, cell, ledger)
    )
    if request.get("dropped"):
        drop(request["dropped"])
    load_plugins(request.get("plugins", ()))
    where = None
    if request["folder"] is not None:
        where = resume.Resumable(Path(request["folder"]), request["attempt"], request["made"])
    context = run_cell.ExecutionContext(checkpoints=where)
    result = run_cell.run_cell(Cell.of(request["cell"]), context)
    arrays = {name: sha256(value) for name, value in seen[-1].arrays().items()}
    state = {"arrays": arrays, "threads": torch.get_num_threads()}
    Path(request["out"]).write_text(json.dumps({**result, **state}))


def note(watch: type, seen: list) -> None:
    def noting(call):
        def noted(self, state):
            seen[:] = [state]
            call(self, state)

        return noted

    for name in ("begin", "after_step"):  # a cell may be killed after its last step
        setattr(watch, name, noting(getattr(watch, name)))


def sha256(tensor) -> str:
    return hashlib.sha256(tensor.detach().contiguous().numpy().tobytes()).hexdigest()


def drop(item: str) -> None:
    """Let a resumed cell go on without one item of its state: with the value that a new cell has."""
    from fairtrial.study.recipes import Recipe
    from fairtrial.training import batches
    from fairtrial.training.loop import State

    took, begun = State.take, [0]

    def take(self, arrays, facts):
        fresh = {name: value.clone() for name, value in self.arrays().items()}
        took(self, arrays, facts)
        begun[0] = self.step
        for name, value in self.arrays().items():
            if any(part in name for part in DROPS[item]):
                value.detach().copy_(fresh[name])
        if item == "curve":
            self.curve = [(step, 0.0, None) for step, *_ in self.curve]
        if item == "step":
            self.step -= 1

    State.take = take
    if item == "position in the schedule":
        lr_at = Recipe.lr_at
        Recipe.lr_at = lambda self, part: lr_at(self, max(0.0, part - begun[0] / 12))
    if item == "position in the order":
        batch = batches.Order.batch
        batches.Order.batch = lambda self, step, size: batch(self, max(0, step - begun[0]), size)
    if item == "MixUp draws":
        mixup = batches.mixup
        batches.mixup = lambda x, y, alpha, key, *rest, **more: mixup(
            x, y, alpha, (*key[:2], max(0, key[2] - begun[0])), *rest, **more
        )
    if item == "augmentation draws":
        draws = batches.draws
        batches.draws = lambda kind, seed, epoch, *rest, **more: draws(
            kind, seed, epoch + (begun[0] > 0), *rest, **more
        )


DROPS = {  # item -> parts of the names of its arrays; those without are dropped by hand
    "convolutions": ["conv"],
    "head": ["model.head"],
    "BN scale": ["norm1.weight"],
    "BN running mean": ["running_mean"],
    "BN running variance": ["running_var"],
    "BN counter": ["num_batches_tracked"],
    "momentum": ["velocity"],
    "losses": ["losses"],
    "curve": [],
    "step": [],
    "position in the schedule": [],
    "position in the order": [],
    "MixUp draws": [],
    "augmentation draws": [],
}


if __name__ == "__main__":
    main()
