"""What an attempt file holds: identity, levels, spent, measured, drawn, origin (results/README.md)."""

from __future__ import annotations

import time
from typing import Final

from fairtrial.storage.integrity import SCHEMA, Record
from fairtrial.study.study import Cell

ACCOUNTS: Final = ("steps", "examples", "flops", "train_s", "eval_s", "load_s", "compile_s", "checkpoint_s")
LONGEST: Final = 2000  # characters kept of an error's text


def cell_message(cell: Cell) -> Record:
    """A cell as JSON, on its way to a job."""
    return {
        "id": cell.id,
        "levels": cell.levels,
        "settings": cell.settings,
        "budget": str(cell.budget),
        "seed": cell.seed,
        "replica": cell.replica,
        "data": cell.data,
        "upstream": cell.upstream,
        "indices": cell.indices,
        "upstream_seed": cell.upstream_seed,
    }


def attempt_record(study: str, cell: Record, attempt: int, result: Record, origin: Record) -> Record:
    """One attempt, ready to publish. cell: a `cell_message`; result: of `trial.run_cell` or `failure`."""
    drawn = dict(result["drawn"])
    return {
        "schema": SCHEMA,
        "study": study,
        "cell": cell["id"],
        "attempt": attempt,
        "status": result["status"],
        "seed": cell["seed"],
        "replica": cell["replica"],
        "upstream_seed": cell["upstream_seed"],
        "levels": cell["levels"],
        "settings": cell["settings"],
        "budget": cell["budget"],
        "spent": result["spent"],
        "measured": result["measured"],
        "origin": {
            **origin,
            "data": drawn.pop("data", None),
            "data_notes": drawn.pop("data_notes", []),
            "ended": round(time.time(), 3),
        },
        "drawn": drawn,
        "error": result.get("error"),
    }


def failure(status: str, what: str, where: str, lost_s: float) -> Record:
    """How an attempt ended that has no result; its seconds are billed as lost."""
    what = what[:LONGEST].encode("utf-8", "replace").decode()  # a file name in it may be no text
    return {
        "status": status,
        "spent": {**dict.fromkeys(ACCOUNTS, 0), "parameters": None, "lost_s": round(lost_s, 3)},
        "measured": {"test_acc": None, "test_loss": None, "val_acc": None, "test_reads": 0},
        "drawn": {},
        "error": {"what": what, "where": where},
    }


def device_seconds(record: Record) -> float:
    """Device seconds that an attempt cost: training, evaluation, and what was lost."""
    spent = record["spent"]
    return float(spent["train_s"] + spent["eval_s"] + spent["lost_s"])
