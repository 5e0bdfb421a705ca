"""What a study of many cells costs to look at: each command against reading its records as plain JSON."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path
from typing import Any

import pytest

from fairtrial.planning.status import status
from fairtrial.reporting import verify
from fairtrial.reporting.report import study_report
from fairtrial.reporting.verdicts.study_verdicts import judge_study
from fairtrial.storage.record import attempt_record, cell_message
from fairtrial.storage.store import Store
from fairtrial.study.budget import Budget
from fairtrial.study.study import Cell, Contrast, Study

GN_WS, BN = {"norm": "gn", "weight_std": True}, {"norm": "bn", "weight_std": False}
IMAGES = 596  # of the test split
ORIGIN = {
    "fairtrial": "0.1.0", "torch": "2.15", "device": "cpu", "threads": 1, "cpu": "made up", "data": "d" * 64,
    "versions": {"python": "3.11.7", "torch": "2.15.0", "numpy": "2.4.6"},
    "environment": {"OMP_NUM_THREADS": "1"},
}  # fmt: skip


def study_of(cells: int) -> Study:
    """A 2 x 2 study of so many cells."""
    return Study(
        name="size",
        question="What does it cost to look at so many cells?",
        factors={"norm": ("bn", "gn"), "weight_std": (False, True)},
        budget=Budget(examples=2048),
        seeds=range(cells // 4),
        primary=Contrast("all", treatment=GN_WS, control=BN),
        margin=0.01,
    )


def result_of(cell: Cell) -> dict[str, Any]:
    """What a cell might have ended with, as long as a real one."""
    draws = random.Random(cell.id)
    wrong = draws.randrange(60)
    right = int("0" * wrong + "1" * (IMAGES - wrong), 2) << -IMAGES % 8  # a bit an image, then none
    correct = base64.b64encode(right.to_bytes(-(-IMAGES // 8))).decode()
    digests = (f"{draws.getrandbits(256):064x}" for _ in range(4))
    curve = [[step, 0.9 + draws.random() / 20, draws.random() / 4] for step in (128, 256, 384, 512)]
    spent = {"steps": 512, "examples": 2048, "flops": 25_826_426_880, "parameters": 219_482}
    seconds = {"train_s": 3 + draws.random(), "eval_s": draws.random() / 10, "load_s": 0.01, "lost_s": 0.0}
    measured = {
        "classes": 10, "train_loss": draws.random(), "val_curve": curve, "val_acc": curve[-1][1],
        "test_acc": (IMAGES - wrong) / IMAGES, "test_loss": draws.random(), "test_n": IMAGES,
        "test_reads": 1, "correct": correct, "weights_sha256": next(digests),
    }  # fmt: skip
    drawn = dict(zip(("subset", "init", "order"), digests, strict=True))
    return {"status": "done", "spent": {**spent, **seconds}, "measured": measured, "drawn": drawn}


@pytest.fixture(
    scope="module",
    params=[pytest.param(100, id="few"), pytest.param(10_000, id="many", marks=pytest.mark.slow)],
)
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Store]:
    """A finished study of so many cells, with its report."""
    study = study_of(request.param)
    store = Store.of(study, tmp_path_factory.mktemp("size"))
    store.declare(study)
    origin = ORIGIN | {"declaration": (store.hashes() or ())[-1]}
    for cell in study.cells():
        store.publish(attempt_record(study.id, cell_message(cell), 1, result_of(cell), origin))
    study_report.build(store)
    return study, store


def read_plainly(folder: Path) -> None:
    """Read every record as JSON, and check nothing."""
    for path in folder.glob("cells/*.json"):
        json.loads(path.read_bytes())


def test_size(benchmark, race, recorded):
    """times: multiples of reading the records as plain JSON, command by command."""
    study, store = recorded
    cells = len(study.cells())
    benchmark.group = f"looking at {cells} cells"
    subjects = {
        "plain JSON": lambda: read_plainly(store.folder),
        "records": lambda: store.attempts(),
        "status": lambda: status(study, store),
        "verdict": lambda: judge_study(store),
        "report": lambda: study_report.report_files(judge_study(store)),
        "verify": lambda: verify.check(store.folder),
    }
    race(subjects, "verdict", rounds=5, warm_up=1)
