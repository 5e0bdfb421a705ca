"""Made-up results with a known truth, published through the real store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairtrial.reporting.figures import figure_files
from fairtrial.reporting.results import load
from fairtrial.reporting.verdicts.learning_curve_crossover import find_crossovers
from fairtrial.storage.record import attempt_record, cell_message
from fairtrial.storage.store import Store
from fairtrial.study.budget import Budget
from fairtrial.study.study import Cell, Contrast, Study
from fairtrial.study.tuning_plan import Tuning
from fairtrial.tuning.selection import advance
from tests.reporting.judging import BN, GN_WS
from tests.support.records import outcome

TRIED = (0.01, 0.1, 1.0)  # rates of `tuned`
# Of the first tuning seed; each later one is a point better at 0.1, and nowhere else. None: diverged.
VAL_ACC = {"bn": (0.50, 0.90, None), "gn": (0.60, 0.80, 0.40)}
ORIGIN = {
    "fairtrial": "0.1.0", "torch": "2.15", "device": "cpu", "threads": 1, "precision": "fp32",
    "commit": "0123456789abcdef", "dirty": None, "cpu": "made up",
}  # fmt: skip


@pytest.fixture
def make_study() -> Callable[..., Study]:
    """A 2 x 2 x 2 study of ten seeds; keywords replace its fields."""

    def make(**changed: Any) -> Study:
        fields = {
            "name": "made-up",
            "question": "Does it help?",
            "factors": {"norm": ("bn", "gn"), "weight_std": (False, True), "batch_size": (4, 64)},
            "budget": Budget(examples=3072),
            "seeds": range(10),
            "primary": (Contrast("small batch", treatment=GN_WS, control=BN, at={"batch_size": 4}),),
            "aa": {"norm": "gn", "weight_std": True, "batch_size": 64},
        }
        return Study(**{**fields, **changed})

    return make


@pytest.fixture
def noise() -> Callable[[Cell, str], float]:
    """A standard normal draw that belongs to a cell, whatever else is drawn."""

    def draw(cell: Cell, what: str) -> float:
        return float(np.random.default_rng([int(cell.id, 16), len(what)]).normal())

    return draw


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    """What the first test of a file makes with fixtures of its own, for those that only read it."""
    return {}


@pytest.fixture(autouse=True)
def _no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of made-up files need not survive a power cut."""
    monkeypatch.setattr("os.fsync", lambda handle: None)


@pytest.fixture(autouse=True)
def _drawn_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are svg alone: few tests look at pdf and png, and to write them takes long."""
    if request.node.get_closest_marker("every_format") is None:
        for kind in ("pdf", "png"):
            monkeypatch.delitem(figure_files._METADATA, kind)


@pytest.fixture
def publish(tmp_path: Path) -> Callable[..., Store]:
    """Declare a study and publish what `outcome(cell)` says of each cell; None leaves a cell pending.

    outcome: a test accuracy, a status such as "diverged", or a dict merged over the made-up result; its
    "upstream_seed" is that of the record.
    """

    def publish_all(study: Study, outcome: Callable[[Cell], Any], *, attempt: int = 1) -> Store:
        store = Store.of(study, tmp_path)
        store.folder.mkdir(parents=True, exist_ok=True)
        store.declare(study)
        for cell in study.cells():
            said = outcome(cell)
            if said is not None:
                result = made_up(cell, said)
                origin = ORIGIN | {"declaration": store.hashes()[-1]} | result.pop("origin", {})
                record = attempt_record(store.name, cell_message(cell), attempt, result, origin)
                own = said.get("upstream_seed") if isinstance(said, dict) else None
                store.publish(record if own is None else replace(record, upstream_seed=own))
        return store

    return publish_all


def made_up(cell: Cell, said: Any) -> dict[str, Any]:
    """A result as `run_cell` gives it."""
    if isinstance(said, str):
        said = {"status": said}
    if not isinstance(said, dict):
        said = {"measured": {"test_acc": said}}
    failed = said.get("status", "done") != "done"
    steps = 3072 // cell.settings.batch_size
    result = {
        "status": said.get("status", "done"),
        "spent": {
            "steps": steps, "examples": 3072, "flops": 10**9 * 3072, "parameters": 219_482,
            "train_s": 2.0 + cell.seed / 10, "eval_s": 0.1, "load_s": 0.0,
            "lost_s": 0.0, "calibrated_step_s": None, "peak_memory_bytes": None,
        },
        "measured": {
            "classes": 10, "train_loss": 0.1, "val_curve": [], "val_acc": None if failed else 0.9,
            "divergence_step": 3 if failed else None, "test_acc": None if failed else 0.9,
            "test_loss": None if failed else 0.3, "test_n": None if failed else 596,
            "test_reads": 0 if failed else 1,
            "correct": None, "weights_sha256": None if failed else cell.id,
        },
        "drawn": {
            "subset": f"subset {cell.seed}",
            "init": f"init {cell.settings.norm} {cell.seed} {cell.replica}",
            "order": f"order {cell.seed} {cell.replica}",
            "data": "images",
            "upstream": None if cell.upstream_seed is None else {
                "file": "weights", "sha256": f"{cell.settings.norm} {cell.upstream_seed}", "overlap": 0,
            },
        },
        "origin": said.get("origin", {}),
        "error": said.get("error"),
    }  # fmt: skip
    for part in ("spent", "measured", "drawn"):
        result[part] |= said.get(part, {})
    return result


@pytest.fixture
def make_transfer(make_study: Callable[..., Study]) -> Callable[..., Study]:
    """Fine-tuning against training from scratch at 1 and 5 shots: three checkpoints, five subsets each."""

    def make(*, start: dict[str, Any] | None = None, **changed: Any) -> Study:
        fields = {
            "factors": {"finetune": ("full", "scratch"), "shots": (1, 5)},
            "fixed": start or {"upstream": "upstream", "upstream_seeds": 3},
            "seeds": range(15),
            "primary": (Contrast("transfer", {"finetune": "full"}, {"finetune": "scratch"}, {"shots": 5}),),
            "aa": None,
        }
        return make_study(**{**fields, **changed})

    return make


@pytest.fixture
def tuned(make_study: Callable[..., Study], tmp_path: Path) -> Callable[..., load.Results]:
    """Results of a study whose trials have run: with its tuning seeds, without a confirmatory cell."""

    def make(
        seeds: int = 3,
        *,
        upto: int | None = None,
        accuracy: Any = VAL_ACC,
        losses: Any = None,
        **changed: Any,
    ) -> load.Results:
        fields = {
            "factors": {"norm": ("bn", "gn")},
            "fixed": {"val_per_class": 2},
            "primary": (Contrast("gn", {"norm": "gn"}, {"norm": "bn"}),),
            "aa": None,
            "tuning": Tuning({"lr": TRIED}, seeds=seeds, share=0.5),
        }
        study = make_study(**{**fields, **changed})
        store = Store.of(study, tmp_path / str(len(list(tmp_path.iterdir()))))
        store.folder.mkdir(parents=True)
        store.declare(study)
        first = study.tuning.seeds_of(0)[0]
        for cell in advance(study, {}).cells[:upto]:
            if callable(accuracy):
                acc = accuracy(cell.settings)
            else:
                acc = accuracy[cell.settings.norm][TRIED.index(cell.settings.lr)]
            better = 0.01 * (cell.seed - first) if cell.settings.lr == 0.1 else 0
            loss = (losses or {}).get((cell.settings.norm, cell.settings.lr), 1 - (acc or 0) - better)
            record = outcome(cell, None if acc is None else loss, store)
            if acc is not None:
                record = replace(record, measured=replace(record.measured, val_acc=acc + better))
            store.publish(record)
        return load.load(store)

    return make


@pytest.fixture
def planted_curves(make_study, publish):
    """(steps, seconds) of the only contrast of a made-up study."""
    numbers = count()

    def make(outcome, **fields):
        few = {"factors": {"norm": ("bn", "gn"), "weight_std": (False, True), "batch_size": (4,)}, "aa": None}
        study = make_study(**{**few, "name": f"curves-{next(numbers)}", **fields})
        (crossover,) = find_crossovers(load.load(publish(study, outcome)), False)
        return crossover.curves

    return make
