"""Everything that was recorded of a study as one DataFrame: a row for each attempt."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from fairtrial.storage.outcomes import outcomes
from fairtrial.storage.record import Attempt
from fairtrial.storage.store import Store
from fairtrial.study.factors import label
from fairtrial.study.settings import FACTORS
from fairtrial.study.study import Study

# column -> what it holds; those of `settings`, `spent` and `measured` are in results/README.md
IDENTITY: Final = {
    "study": "name of the study's folder",
    "cell": "12 hex digits over everything that changes the result",
    "attempt": "number of the try",
    "counts": "whether this attempt is its cell's outcome; the others were tried again",
    "status": "done, diverged, or how the run broke",
    "arm": "the swept levels in words",
    "seed": "the replicate that arms share",
    "replica": "1 for the second run of the A/A arm",
    "upstream_seed": "the checkpoint that it started from; empty from scratch",
    "budget": "of the cell, such as 2048ex",
}
SPENT: Final = (
    "steps", "examples", "flops", "parameters", "train_s", "eval_s", "load_s", "lost_s", "peak_memory_bytes",
)  # fmt: skip
MEASURED: Final = (
    "test_acc", "test_loss", "test_ece", "test_n", "majority", "balanced_acc", "test_reads", "val_acc",
    "val_n", "train_loss", "divergence_step", "classes", "weights_sha256",
)  # fmt: skip
ORIGIN: Final = {
    "device": "where it ran",
    "torch": "version of torch",
    "commit": "of the code that ran",
    "error": "why a run broke",
}


def read_frame(store: Store) -> pd.DataFrame:
    """Return every recorded attempt as a row; `attrs` names study, hash, preset and question.

    Values are as recorded: a diverged run has no score here, and scores chance in a verdict. A Fault (exit
    code 3) names a record that is damaged.
    """
    declared = store.declared()
    study = Study.of(declared["declaration"])
    attempts = sorted(store.attempts(), key=lambda one: (one.seed, one.cell, one.number))
    counting = {(one.cell, one.number) for one in outcomes(attempts, study.failures).values()}
    rows = [_row(one, store.name, counts=(one.cell, one.number) in counting) for one in attempts]
    frame = pd.DataFrame(rows, columns=columns())
    for name in (*SPENT, "upstream_seed", *MEASURED[:-1]):
        frame[name] = pd.to_numeric(frame[name])
    frame.attrs = {
        "study": store.name,
        "hash": declared["history"][-1]["hash"],
        "preset": study.preset,
        "question": study.question,
    }
    return frame


def columns() -> list[str]:
    """Return the names of the columns, in their order."""
    return [*IDENTITY, *FACTORS, *SPENT, *MEASURED, *ORIGIN]


def _row(attempt: Attempt, study: str, *, counts: bool) -> dict[str, Any]:
    origin = attempt.provenance
    return {
        "study": study,
        "cell": attempt.cell,
        "attempt": attempt.number,
        "counts": counts,
        "status": attempt.status,
        "arm": label(attempt.levels),
        "seed": attempt.seed,
        "replica": attempt.replica,
        "upstream_seed": attempt.upstream_seed,
        "budget": attempt.budget,
        **{name: getattr(attempt.settings, name) for name in FACTORS},
        **{name: getattr(attempt.spent, name) for name in SPENT},
        **{name: getattr(attempt.measured, name) for name in MEASURED},
        "device": origin.device,
        "torch": origin.torch,
        "commit": origin.commit,
        "error": None if attempt.error is None else attempt.error.what,
    }
