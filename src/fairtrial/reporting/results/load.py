"""Recorded attempts -> one table of cells, with the declared failure policy applied."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd

from fairtrial.reporting.results.inference_rule import InferenceRule
from fairtrial.reporting.results.refusals import flaws, left_out
from fairtrial.reporting.wording import plural
from fairtrial.storage.calibrations import Calibration
from fairtrial.storage.integrity import Record
from fairtrial.storage.outcomes import DECLARED, failures, outcomes
from fairtrial.storage.record import Attempt
from fairtrial.storage.store import Store
from fairtrial.study.failure_policy import (
    MOST_FAILED,
    WORDS,
    FailurePolicy,
    attempt_words,
    chance,
    given_up_words,
)  # fmt: skip
from fairtrial.study.limits import METRICS
from fairtrial.study.settings import Settings
from fairtrial.study.stopping import NOT_REQUIRED
from fairtrial.study.study import Cell, Contrast, Regime, Study, regime_of
from fairtrial.tuning.selection import Stage, countable, resolve

_MOST_NAMED: Final = 10  # cells that failed and would be tried again

STABLE: Final = (
    "status",
    "steps",
    "examples",
    "flops",
    "parameters",
    "classes",
    "test_acc",
    "test_loss",
    "val_acc",
    "train_loss",
    "test_n",
    "test_reads",
    "divergence_step",
    "weights_sha256",
)  # fmt: skip  (columns of summary.csv after the levels: no clock, no attempt number)


@dataclass(frozen=True, eq=False)
class Results:
    """What a study declared and what its cells came to.

    frame: one row per declared cell, in declared order. `ended` says that it has an outcome; metrics are
    scored (a failed cell has chance), `failed` says so; `start`, `upstream_seed` say where its weights come
    from. plain: the same rows as recorded. records: cell -> the attempt that counts. read: contrast -> how
    many seeds it is read at, where a stopping rule says so. tuning: the trials and what they chose; None in a
    study at one rule. trial_runs: recorded runs of stage tuning, whatever declaration asked for them.
    missing: cell -> its failed attempts, where it has no outcome. calibrations: timed launches, oldest first.
    lost: cells and trials that failed and have no outcome, in words, with the reason. left_out: recorded
    seeds of its arms that the declaration does not name.
    """

    study: Study
    declared: Record
    frame: pd.DataFrame
    plain: list[Record]
    records: dict[str, Attempt]
    block_s: float | None  # mean device-seconds that one more seed of every arm costs
    flaws: tuple[str, ...] = ()  # reasons to refuse every verdict on these records
    read: Mapping[str, int] = field(default_factory=dict)
    tuning: Stage | None = None
    trial_runs: int = 0
    missing: Mapping[str, Sequence[Attempt]] = field(default_factory=dict)
    calibrations: Sequence[Calibration] = ()
    lost: tuple[str, ...] = ()
    left_out: Sequence[int] = ()

    @property
    def done(self) -> int:
        """Cells with an outcome."""
        return len(self.ended)

    @property
    def not_required(self) -> int:
        """Cells that the stopping rule did not ask for, and nobody ran."""
        return int((self.frame["status"] == NOT_REQUIRED).sum())

    @property
    def complete(self) -> bool:
        """Whether every declared cell has an outcome, as far as a stopping rule asks for it."""
        return self.done + self.not_required == len(self.frame)

    @property
    def sound(self) -> bool:
        """Whether verdicts may rest on it: complete, and nothing speaks against its records."""
        return self.complete and not self.flaws

    @property
    def unsound(self) -> str:
        """Why verdicts are refused: 'incomplete: 26 of 130 cells', 'mixed code: ...'; or nothing."""
        gap = () if self.complete else (f"incomplete: {self.progress}",)
        return "; ".join((*gap, *self.flaws))

    @property
    def progress(self) -> str:
        """'26 of 130 cells', '65 of 260 cells, 195 not required by the stopping rule'."""
        rest = f", {self.not_required} not required by the stopping rule" if self.not_required else ""
        trials = f", tuning {self.tuning.progress}" if self.tuning and not self.tuning.complete else ""
        lost = Counter(attempts[-1].status for attempts in self.missing.values())
        why = f" ({failure_words(lost)} and are missing)" if lost else ""
        return f"{self.done} of {len(self.frame)} cells{why}{trials}{rest}"

    @cached_property
    def inference(self) -> InferenceRule:
        """How often the study is read, and what a reading may claim."""
        return InferenceRule.of(self.declared["declaration"])

    @property
    def pilots(self) -> str:
        """What runs that are not recorded chose, as the study says; empty where it names none."""
        return str(self.declared.get("pilots", ""))

    @property
    def hash(self) -> str:
        """The first 8 digits of the declaration's hash."""
        return self.declared["history"][-1]["hash"][:8]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The declared seeds."""
        return tuple(self.study.seeds)

    @property
    def cells(self) -> list[str]:
        """The ids of the declared cells."""
        return list(self.frame["cell"])

    def seeds_of(self, contrast: Contrast) -> tuple[int, ...]:
        """Return the seeds at which a contrast is read: all, or the first ones where it was decided early."""
        return self.seeds[: self.read.get(contrast.name)]

    @property
    def test_images(self) -> int:
        """The size of the smallest test set; 0 when none was read."""
        return min((row["test_n"] for row in self.plain if row.get("test_n")), default=0)

    @cached_property
    def ended(self) -> pd.DataFrame:
        """The cells with an outcome."""
        return self.frame[self.frame["ended"].astype(bool)]

    @cached_property
    def arms(self) -> pd.DataFrame:
        """The cells with an outcome, without the A/A arm."""
        return self.ended[self.ended["replica"] == 0]

    def where(self, levels: Mapping[str, Any], replica: int = 0) -> pd.DataFrame:
        """Return the declared cells with these levels."""
        key = (replica, frozenset(levels.items()))
        if key not in self._found:
            none = np.zeros(len(self.frame), dtype=bool)
            masks = [self._masks.get(each, none) for each in (("replica", replica), *levels.items())]
            self._found[key] = self.frame[np.logical_and.reduce(masks)]
        return self._found[key]

    @cached_property
    def _found(self) -> dict[tuple[int, frozenset[tuple[str, Any]]], pd.DataFrame]:
        """What `where` was asked before: a report asks thousands of times."""
        return {}

    @cached_property
    def regimes(self) -> list[tuple[dict[str, Any], Regime]]:
        """The levels of each arm, and the key of what is tuned by itself."""
        return [(arm, regime_of(arm)) for arm in self.study.arms()]

    @cached_property
    def _masks(self) -> dict[tuple[str, Any], np.ndarray]:
        """(factor, level) -> which rows have it."""
        rows: defaultdict[tuple[str, Any], list[int]] = defaultdict(list)
        for name in (*self.study.factors, "replica"):
            for row, level in enumerate(self.frame[name]):
                rows[name, level].append(row)
        every = np.arange(len(self.frame))
        return {key: np.isin(every, here) for key, here in rows.items()}


def load(store: Store) -> Results:
    """Read a study's folder; a Fault when a file of it cannot be trusted."""
    declared = store.declared()
    attempts = store.attempts()
    study = Study.of(declared["declaration"])
    known, failed = outcomes(attempts, study.failures), failures(attempts, study.failures)
    study, tuning = resolve(study, known)
    cells = countable(study, tuning).cells()
    plain = rows(cells, attempts, study.failures)
    used = {cell.id: known[cell.id] for cell in cells if cell.id in known}
    frame = pd.DataFrame(list(_scored(study, plain, used)), dtype=object)
    for name in METRICS:
        frame[name] = frame[name].astype(float)
    missing = {c.id: failed[c.id] for c in cells if c.id in failed}
    trial_runs = sum(attempt.settings.stage == "tuning" for attempt in known.values())
    tried = (*(() if tuning is None else tuning.pending), *cells)
    return Results(
        study, declared, frame, plain, used, _block_s(study, used), flaws(study, attempts, used),
        tuning=tuning, trial_runs=trial_runs, missing=missing, calibrations=store.calibrations(),
        lost=tuple(_lost(tried, failed)), left_out=left_out(cells, attempts),
    )  # fmt: skip


def _lost(cells: Sequence[Cell], failed: Mapping[str, Sequence[Attempt]]) -> Iterator[str]:
    """Name cells that failed: those that were given up, and what the same command would try again."""
    tried = [(cell, failed[cell.id]) for cell in cells if cell.id in failed]
    again = [(cell, attempts[-1]) for cell, attempts in tried if len(attempts) < MOST_FAILED]
    for cell, last in ((cell, attempts[-1]) for cell, attempts in tried if len(attempts) >= MOST_FAILED):
        yield given_up_words(cell.arm, cell.seed, last.status, last.error)
    for cell, last in again[:_MOST_NAMED]:
        yield attempt_words(cell.arm, cell.seed, last.status, last.error)
    if rest := again[_MOST_NAMED:]:
        yield f"{plural(len(rest), 'further cell')} failed and would be tried again"


def failure_words(failures: Counter[str], of: str = "") -> str:
    """Return '2 runs broke, 1 run timed out'; of an arm '2 runs of bn broke'."""
    return ", ".join(f"{plural(n, 'run')}{of} {WORDS[status]}" for status, n in sorted(failures.items()))


def _scored(study: Study, plain: list[Record], records: Mapping[str, Attempt]) -> Iterator[Record]:
    classes = {r.settings.data: r.measured.classes for r in records.values() if r.measured.classes}
    arms: dict[tuple[Any, ...], Settings] = {}
    for row in plain:
        record = records.get(row["cell"])
        failed = record is not None and not record.evaluated and study.failures.scores_chance(record.status)
        values: dict[str, Any] = {name: row.get(name) for name in METRICS}
        if failed and record is not None:
            values |= chance(classes.get(record.settings.data))
        numbers = {name: math.nan if value is None else value for name, value in values.items()}
        levels = {name: row[name] for name in study.factors}
        key = tuple(levels.values())
        if key not in arms:
            arms[key] = study.settings(levels)
        started = _started(arms[key], row, record)
        yield row | numbers | {"failed": failed, "ended": record is not None} | started


def rows(
    cells: Iterable[Cell], attempts: Iterable[Attempt], policy: FailurePolicy = DECLARED
) -> list[Record]:
    """One flat row per declared cell, in their order.

    A cell without outcome has the status of its last failed attempt, or 'pending'.
    """
    attempts = list(attempts)
    known, failed = outcomes(attempts, policy), failures(attempts, policy)
    return [_row(cell, known.get(cell.id), failed.get(cell.id, [])) for cell in cells]


def _row(cell: Cell, attempt: Attempt | None, failed: Sequence[Attempt]) -> Record:
    row = {"cell": cell.id, "arm": cell.arm, "seed": cell.seed, "replica": cell.replica, **cell.levels}
    if attempt is None:
        return row | {"status": failed[-1].status if failed else "pending"}
    return row | {"status": attempt.status, **attempt.spent.known_json(), **attempt.measured.known_json()}


def _started(settings: Settings, row: Record, record: Attempt | None) -> Record:
    """Return where a cell's weights come from; without a record of it, what its settings say."""
    planned = settings.upstream_seed(row["seed"])
    recorded = None if record is None or planned is None else record.upstream_seed
    return {"start": settings.start.source, "upstream_seed": planned if recorded is None else recorded}


def _block_s(study: Study, records: Mapping[str, Attempt]) -> float | None:
    arms = len(study.arms()) + (study.aa is not None)
    return arms * sum(one.spent.cell_s for one in records.values()) / len(records) if records else None


def per_seed(cells: pd.DataFrame, metric: str) -> dict[int, float]:
    """Return seed -> mean over its cells, for the seeds whose cells all have a value."""
    values: dict[int, list[float]] = {}
    for seed, value in zip(cells["seed"].tolist(), cells[metric].tolist(), strict=True):
        values.setdefault(int(seed), []).append(value)
    means = {seed: float(np.asarray(each, float).mean()) for seed, each in values.items()}
    return {seed: mean for seed, mean in means.items() if math.isfinite(mean)}


def summary(results: Results) -> tuple[list[str], list[list[Any]]]:
    """Return header and rows of summary.csv: each cell as recorded, and its score if it failed."""
    names = ["cell", "arm", "seed", "replica", *results.study.factors, *STABLE, "score"]
    scores = [None if math.isnan(score) else score for score in results.frame["test_acc"]]
    return names, [
        [row.get(name) for name in names[:-1]] + [score]
        for row, score in zip(results.plain, scores, strict=True)
    ]
