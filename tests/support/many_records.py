"""Thousands of sealed records in seconds: the library's own writers, without the waits for a disk."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

from fairtrial.storage import provenance
from fairtrial.storage.record import attempt_record, cell_message
from fairtrial.storage.store import Store
from fairtrial.study.contrast import Contrast
from fairtrial.study.study import Study
from tests.support import toy_worker
from tests.support.toy import toy_study

FLAGS = {
    "deterministic_algorithms": False, "cudnn_benchmark": False, "tf32": False, "instructions": "",
    "cuda": None,
}  # fmt: skip
TEXT = """\
from fairtrial import Budget, Contrast, Study

STUDY = Study(
    name="toy",
    question="Does it come back?",
    factors={{"norm": ("bn", "gn")}},
    fixed={{"resolution": 8, "data": "digits", "val_per_class": 0}},
    budget=Budget(steps=8),
    seeds=range({seeds}),
    primary=Contrast("gn", treatment={{"norm": "gn"}}, control={{"norm": "bn"}}),
)
"""


def write_study(folder: Path, cells: int) -> Study:
    """A toy study of so many cells, as toy.py and as an object."""
    (folder / "toy.py").write_text(TEXT.format(seeds=cells // 2))
    contrast = Contrast("gn", treatment={"norm": "gn"}, control={"norm": "bn"})
    return toy_study(seeds=cells // 2, primary=contrast)


def record_all(study: Study, results: Path) -> Store:
    """Publish every cell of a toy study, as a driver and its toy worker would have on this machine."""
    store, context = Store.of(study, results), toy_worker.ExecutionContext("cpu", False, (), way={})
    with patch.object(os, "fsync", lambda handle: None):
        store.declare(study)
        origin = {"declaration": store.hashes()[-1], **provenance.gather("cpu", 1, FLAGS, "compiled")}
        for cell in study.cells():
            result = toy_worker.run_cell(cell, context)
            assert store.publish(attempt_record(store.name, cell_message(cell), 1, result, origin))
    return store
