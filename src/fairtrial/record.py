"""What an attempt file holds: identity, levels, spent, measured, drawn, origin (results/README.md)."""

from __future__ import annotations

import time
from typing import Any, Final

from fairtrial.store import SCHEMA
from fairtrial.study import Cell

ACCOUNTS: Final = ("steps", "examples", "flops", "train_s", "eval_s", "load_s", "compile_s", "checkpoint_s")


def cell_message(cell: Cell) -> dict[str, Any]:
    """A cell as JSON, on its way to a job."""
    return {
        "id": cell.id,
        "levels": cell.levels,
        "settings": cell.settings,
        "budget": str(cell.budget),
        "seed": cell.seed,
        "replica": cell.replica,
        "data": cell.data,
    }


def attempt_record(
    study: str, cell: dict[str, Any], attempt: int, result: dict[str, Any], origin: dict[str, Any]
) -> dict[str, Any]:
    """One attempt, ready for `Store.publish`. cell: a `cell_message`; result: of `trial.run_cell` or `failure`."""
    drawn = dict(result["drawn"])
    return {
        "schema": SCHEMA,
        "study": study,
        "cell": cell["id"],
        "attempt": attempt,
        "status": result["status"],
        "seed": cell["seed"],
        "replica": cell["replica"],
        "upstream_seed": None,
        "levels": cell["levels"],
        "settings": cell["settings"],
        "budget": cell["budget"],
        "spent": result["spent"],
        "measured": result["measured"],
        "origin": {**origin, "data": drawn.pop("data", None), "ended": round(time.time(), 3)},
        "drawn": drawn,
        "error": result.get("error"),
    }


def failure(status: str, what: str, where: str, lost_s: float) -> dict[str, Any]:
    """How an attempt ended that has no result; its seconds are billed as lost."""
    return {
        "status": status,
        "spent": {**dict.fromkeys(ACCOUNTS, 0), "parameters": None, "lost_s": round(lost_s, 3)},
        "measured": {"test_acc": None, "test_loss": None, "val_acc": None, "test_reads": 0},
        "drawn": {},
        "error": {"what": what, "where": where},
    }
