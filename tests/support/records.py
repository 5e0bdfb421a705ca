"""Attempt records for tests that need no process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fairtrial.storage.record import Attempt, Json, attempt_record, cell_message, failure
from fairtrial.storage.store import Store
from fairtrial.study.study import Cell, Study

ORIGIN = {
    "fairtrial": "0.1.0",
    "torch": "2.15",
    "device": "cpu",
    "threads": 1,
    "cpu": "abacus",
    "declaration": "0" * 64,
}


def declared_store(study: Study, folder: Path) -> Store:
    """The store of a study in a results folder, which declares it."""
    store = Store.of(study, folder)
    store.declare(study)
    return store


def contents(folder: Path) -> dict[str, bytes]:
    """What a folder holds, by path, without hidden files: locks, and what stands for no outcome."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def spaced(text: str) -> str:
    """A record as older versions wrote it: with spaces, under the same seal."""
    return json.dumps(json.loads(text), ensure_ascii=False) + "\n"


def done(
    acc: float = 0.9,
    *,
    train_s: float = 1.0,
    steps: int = 8,
    data: str = "d" * 64,
    weights: str | None = None,
) -> Json:
    """A result as `run_cell` gives it."""
    spent = {
        **dict.fromkeys(("examples", "flops", "eval_s", "load_s"), 0),
        "steps": steps,
        "train_s": train_s,
        "lost_s": 0.0,
    }
    measured = {"classes": 10, "test_acc": acc, "test_loss": 0.3, "val_acc": None, "test_reads": 1}
    measured |= {} if weights is None else {"weights_sha256": weights}
    return {"status": "done", "spent": spent, "measured": measured, "drawn": {"data": data}}


def diverged(**how: Any) -> Json:
    """A result that has no score; fields as of `done`."""
    made = done(**how)
    made["measured"] |= {"test_acc": None, "test_loss": None, "test_reads": 0, "divergence_step": 3}
    return made | {"status": "diverged"}


def killed(where: str = "job", lost_s: float = 0.5) -> Json:
    """A result of an attempt whose worker died."""
    return failure("killed", "the job was killed by signal 9 (SIGKILL)", where, lost_s)


def origin_in(store: Store, **changed: Any) -> Json:
    """Where a made-up attempt ran: under what its study declares now."""
    return ORIGIN | {"declaration": (store.hashes() or [ORIGIN["declaration"]])[-1]} | changed


def publish(store: Store, cell: Cell, attempt: int = 1, result: Json | None = None, **origin: Any) -> Attempt:
    """Publish one attempt of a cell; its record. By default each cell ends with weights of its own."""
    result = result or done(weights=cell.id)
    if cell.budget.kind == "examples" and result["status"] == "done":
        result["spent"]["examples"] = int(cell.budget.amount)  # as declared, or no verdict rests on it
    record = attempt_record(store.name, cell_message(cell), attempt, result, origin_in(store, **origin))
    assert store.publish(record)
    return record


def trial(loss: float | None = 0.5, accuracy: float = 0.5) -> Json:
    """A result of a tuning cell that ended with this validation loss; None: it diverged."""
    result = done()
    end = {"test_acc": None, "test_loss": None, "test_reads": 0, "val_n": 20}
    curve = {"val_curve": [[8, accuracy, loss]], "val_acc": accuracy}
    result["measured"] |= end | (curve if loss is not None else {"divergence_step": 3})
    result["status"] = "done" if loss is not None else "diverged"
    return result


def outcome(cell: Cell, loss: float | None, store: Store | None = None, accuracy: float = 0.5) -> Attempt:
    """The attempt of a tuning cell that ended with this validation loss; None: it diverged."""
    name, origin = ("tuned", ORIGIN) if store is None else (store.name, origin_in(store))
    return attempt_record(name, cell_message(cell), 1, trial(loss, accuracy), origin)
