"""What an attempt file holds, as typed objects: read and checked once, written once (results/README.md)."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from fairtrial.errors import BAD_INPUT, Fault, Problem, fault
from fairtrial.storage.atomic import read_json
from fairtrial.storage.integrity import PUT_BACK, unsealed

from fairtrial.storage.json_fields import (  # isort: skip
    Amount, CellId, Check, Count, Curve, Fraction, Group, Json, Losses, Number, Object, Ordinal, PrintsName,
    Sha256, Table, Text, WeightsName, Whole, is_table, parse,
)  # fmt: skip
from fairtrial.storage.provenance import Provenance
from fairtrial.storage.record_rules import contradictions
from fairtrial.study.budget import is_budget
from fairtrial.study.factors import setting_flaw, upgraded
from fairtrial.study.failure_policy import STATUSES, is_failure
from fairtrial.study.identity import arm_key
from fairtrial.study.settings import FACTORS, Settings

if TYPE_CHECKING:
    from fairtrial.study.study import Cell

SCHEMA: Final = 3
LONGEST: Final = 2000  # characters kept of an error's text
_TIMING: Final = re.compile(r".*_s|peak_memory_bytes|joules")
_FILE: Final = re.compile(r"([0-9a-f]{12})-([1-9][0-9]{0,18})\.json")


def _typed(values: Json) -> tuple[tuple[Any, ...], ...]:
    """Return what tells tables of plain values apart; 1, 1.0 and True are three."""
    return tuple(values.items()), tuple(map(type, values.values()))


@lru_cache(maxsize=4096)
def _settings_of(items: tuple[Any, ...], kinds: tuple[Any, ...]) -> Settings:
    """One object for all records of the same settings: a study has few."""
    return Settings.of(dict(items))


Recorded = Annotated[
    Settings,
    Check("a table of plain values", is_table, lambda v: _settings_of(*_typed(v)), Settings.record),
]
BudgetText = Annotated[str, Check("a budget such as 2048ex", is_budget)]
Status = Annotated[str, Check(f"one of {', '.join(STATUSES)}", lambda v: v in STATUSES)]


@dataclass(frozen=True, kw_only=True)
class Spent(Group):
    """What an attempt cost; seconds are those of the device. stalled_s: it was stopped, for free.

    An attempt that goes on from a checkpoint has the seconds of the whole cell in its accounts; carried_s is
    what of them the lost_s of earlier attempts holds already.
    """

    steps: Whole
    examples: Whole
    flops: Whole
    parameters: Whole | None = None
    train_s: Amount
    eval_s: Amount
    load_s: Amount
    lost_s: Amount
    stalled_s: Amount | None = None
    checkpoint_s: Amount | None = None
    carried_s: Amount | None = None
    calibrated_step_s: Amount | None = None
    peak_memory_bytes: Whole | None = None

    @property
    def cell_s(self) -> float:
        """Training, evaluation and checkpoints of the cell, whichever attempts they fell into."""
        return self.train_s + self.eval_s + (self.checkpoint_s or 0.0)

    @property
    def device_s(self) -> float:
        """What this attempt adds to the bill: no second is in two attempts."""
        return self.cell_s + self.lost_s - (self.carried_s or 0.0)


@dataclass(frozen=True, kw_only=True)
class Checkpoint(Group):
    """The network that a cell kept: file and prints of its images lie in the study's weights/."""

    file: WeightsName
    bytes: Whole
    sha256: Sha256
    images: PrintsName


@dataclass(frozen=True, kw_only=True)
class Measured(Group):
    """What came out. correct: one bit for each test image, base64. val_curve: [step, accuracy, loss].

    train_curve: [step, mean loss of the batches since the point before], at the steps of val_curve.
    test_ece: the expected calibration error. Of test images in uneven classes: majority, the share of the
    largest one; balanced_acc, the mean over classes of the share that is right in each.
    """

    classes: Count | None = None
    train_loss: Number | None = None
    train_curve: Losses | None = None
    val_curve: Curve | None = None
    val_acc: Fraction | None = None
    val_n: Whole | None = None
    divergence_step: Whole | None = None
    test_acc: Fraction | None = None
    test_loss: Number | None = None
    test_ece: Fraction | None = None
    test_n: Count | None = None
    majority: Fraction | None = None
    balanced_acc: Fraction | None = None
    test_reads: Whole
    correct: Text | None = None
    weights_sha256: Text | None = None
    checkpoint: Checkpoint | None = None


@dataclass(frozen=True, kw_only=True)
class Start(Group):
    """The file that a network started from. overlap: test images among its training images, where known."""

    file: Text | None = None
    sha256: Text
    upstream: Text | None = None
    overlap: Whole | None = None


@dataclass(frozen=True, kw_only=True)
class Drawn(Group):
    """Digests of what was drawn before the first step, and what settings came to.

    layout, kernels: the fastest ones, as calibration chose them for a budget in seconds.
    """

    subset: Text | None = None
    init: Text | None = None
    order: Text | None = None
    upstream: Start | None = None
    rule: Object | None = None
    micro_batch: Whole | None = None
    eager: Text | None = None
    layout: Text | None = None
    kernels: Text | None = None

    @property
    def way(self) -> dict[str, str]:
        """Layout and kernels that calibration chose; empty where an arm ran as declared."""
        return {n: v for n, v in (("layout", self.layout), ("kernels", self.kernels)) if v is not None}


@dataclass(frozen=True, kw_only=True)
class Ending(Group):
    """Why an attempt has no result."""

    what: Text
    where: Text


@dataclass(frozen=True, kw_only=True)
class Attempt(Group):
    """One execution of a cell."""

    schema: Whole = SCHEMA
    study: Text
    cell: CellId
    number: Ordinal
    status: Status
    seed: Whole
    replica: Whole = 0
    upstream_seed: Whole | None = None
    levels: Table
    settings: Recorded
    budget: BudgetText
    spent: Spent
    measured: Measured
    provenance: Provenance
    drawn: Drawn
    error: Ending | None = None

    @property
    def evaluated(self) -> bool:
        """Whether it reached its final evaluation."""
        return self.measured.test_acc is not None

    @property
    def timed(self) -> tuple[str, int, float, int, float | None]:
        """Arm key, seed, training seconds, steps, what set them: what `stats.cost_parity` judges."""
        took = self.spent
        return arm_key(self.settings), self.seed, took.train_s, took.steps, took.calibrated_step_s

    @property
    def failed(self) -> bool:
        """Whether it counts among the failed attempts of its cell, unless the study studies memory."""
        return not self.evaluated and is_failure(self.status, self.error.where if self.error else None)


def read(path: Path) -> Attempt:
    """Return the attempt of a file; a Fault when it is damaged, edited, newer, impossible, or a copy."""
    attempt = parsed(unsealed(path, read_json(path), newest=SCHEMA), str(path))
    refuse_other_name(path, attempt.cell, attempt.number)
    return attempt


def refuse_other_name(path: Path, cell: str, number: int) -> None:
    """A Fault when a file is not called what it holds, such as a copy."""
    match = _FILE.fullmatch(path.name)
    if not match or (match[1], int(match[2])) != (cell, number):
        what = f"the file is called {path.name}, but holds {cell}-{number}"
        raise fault(what, str(path), "remove the copy, or run `fairtrial repair STUDY`", BAD_INPUT)


def parsed(record: Json, where: str) -> Attempt:
    """Return the attempt that a JSON object of any schema holds; a Fault names each field that it cannot."""
    flaws: list[str] = []
    newest = _upgraded(record)
    attempt = parse(Attempt, newest, "", flaws)
    if attempt is not None and attempt.provenance.declaration is None and record.get("schema") == SCHEMA:
        flaws.append("the record lacks origin.declaration")
    if attempt is not None:
        flaws += _setting_flaws(*_typed(newest["settings"])) or contradictions(attempt)
    if attempt is None or flaws:
        raise Fault([Problem(flaw, where, PUT_BACK) for flaw in flaws], BAD_INPUT)
    return attempt


@lru_cache(maxsize=4096)
def _setting_flaws(items: tuple[Any, ...], kinds: tuple[Any, ...]) -> tuple[str, ...]:
    """Say which settings hold what no study can declare."""
    settings = _settings_of(items, kinds)
    said = ((name, getattr(settings, name)) for name in FACTORS)
    found = (setting_flaw(name, type(value).__name__, value) for name, value in said)
    return tuple(f"settings: {flaw}" for flaw in found if flaw)


def _upgraded(record: Json) -> Json:
    """The record as the newest schema has it.

    1: three accounts were written that nothing ever booked, and the setting finetune was called tune.
    """
    if record.get("schema") == 1:
        record = record | {name: upgraded(record[name]) for name in ("settings", "levels") if name in record}
        unbooked = {"compile_s", "checkpoint_s", "joules"}
        if isinstance(spent := record.get("spent"), dict):
            record = record | {"spent": {n: v for n, v in spent.items() if n not in unbooked or v}}
    return record | {"schema": SCHEMA}


def cell_message(cell: Cell) -> Json:
    """Return a cell as JSON, on its way to a worker."""
    return cell.record()


def attempt_record(study: str, cell: Json, attempt: int, result: Json, origin: Json) -> Attempt:
    """Return one attempt, ready to publish. cell: a `cell_message`; result: of `run_cell` or `failure`."""
    drawn = dict(result["drawn"])
    data = {"data": drawn.pop("data", None), "data_notes": drawn.pop("data_notes", [])}
    taken = ("seed", "replica", "upstream_seed", "levels", "settings", "budget")
    record = {
        "schema": SCHEMA,
        "study": study,
        "cell": cell["id"],
        "attempt": attempt,
        "status": result["status"],
        **{name: cell[name] for name in taken if name in cell},
        "spent": result["spent"],
        "measured": result["measured"],
        "origin": {**origin, **data, "ended": round(time.time(), 3)},
        "drawn": drawn,
        "error": result.get("error"),
    }
    return parsed(record, f"{cell['id']}-{attempt}")


def failure(status: str, what: str, where: str, lost_s: float) -> Json:
    """Return how an attempt ended that has no result. what: a file name in it may be no text."""
    spent = dict.fromkeys(("steps", "examples", "flops", "train_s", "eval_s", "load_s"), 0)
    return {
        "status": status,
        "spent": {**spent, "lost_s": round(lost_s, 3)},
        "measured": {"test_reads": 0},
        "drawn": {},
        "error": {"what": what[:LONGEST].encode("utf-8", "replace").decode(), "where": where},
    }


def is_timing(column: str) -> bool:
    """Say whether a column of a record differs from run to run; all the others repeat bit for bit."""
    return _TIMING.fullmatch(column) is not None
