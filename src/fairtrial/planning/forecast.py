"""What a study will take, from the seconds of a step and of an evaluation of each arm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median

from fairtrial.execution.run_options import Options
from fairtrial.execution.step_times import made_here, session_s, step_seconds
from fairtrial.storage.record import Attempt
from fairtrial.storage.store import Store
from fairtrial.study.identity import arm_key
from fairtrial.study.limits import VAL_POINTS
from fairtrial.study.settings import Settings
from fairtrial.study.study import Cell

Kind = tuple[str, int | str, int, bool]  # arm, images per class, validation images per class, whether a trial


@dataclass(frozen=True)
class Costs:
    """What is known here of a study's arms, by their keys.

    step_s: seconds of a step. looked: seconds of evaluation and loading of recorded cells, the median. looks:
    as calibrated, see `Calibration`.
    """

    step_s: Mapping[str, float]
    looked: Mapping[Kind, float] = field(default_factory=dict)
    looks: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store, attempts: Iterable[Attempt], options: Options) -> Costs:
        """Read a study's records and calibrations. attempts: those of the store."""
        records, here = list(attempts), made_here(options.threads, options.device)
        spent: defaultdict[Kind, list[float]] = defaultdict(list)
        for one in records:
            if one.status == "done" and one.spent.steps and here(one.provenance):
                spent[_kind(one.settings)].append(one.spent.eval_s + one.spent.load_s)
        looks: dict[str, Mapping[str, float]] = {}
        for calibration in store.calibrations():
            if here(calibration.provenance):
                looks |= calibration.looks or {}
        step_s = step_seconds(store, records, options.threads, options.device)
        return cls(step_s, {kind: median(seconds) for kind, seconds in spent.items()}, looks)

    def train_s(self, cell: Cell) -> float | None:
        """Seconds that a cell will train; None when no step of its arm was ever timed."""
        if cell.budget.kind == "seconds":
            return cell.budget.amount
        seconds = self.step_s.get(arm_key(cell.settings))
        if seconds is None or cell.budget.kind == "flops":
            return None
        return seconds * cell.budget.steps_for(cell.settings.batch_size)

    def looks_s(self, cell: Cell) -> float | None:
        """Seconds that a cell will evaluate; None when no evaluation of its arm was ever timed."""
        settings, known = cell.settings, self.looked.get(_kind(cell.settings))
        looks = self.looks.get(arm_key(settings))
        if known is not None or looks is None:
            return known
        val_n = settings.val_per_class * looks["classes"]
        shots = settings.shots
        train_n = looks["train_n"] - val_n if isinstance(shots, str) else shots * looks["classes"]
        frozen = settings.starts_from_checkpoint and settings.finetune == "linear_probe"
        # a probe computes the features of its images once
        seen = train_n + val_n if frozen else len(VAL_POINTS) * val_n
        return looks["image_s"] * (seen + (0 if settings.stage == "tuning" else looks["test_n"]))

    def cell_s(self, cell: Cell) -> float | None:
        """Seconds that a cell will take, training alone where no evaluation was timed; None as `train_s`."""
        seconds = self.train_s(cell)
        return None if seconds is None else seconds + (self.looks_s(cell) or 0.0)

    def launches_s(self, cells: Iterable[Cell]) -> float:
        """Seconds of timing the arms of each seed before its runs, which a budget in seconds asks for."""
        timed = {
            (cell.seed, arm_key(cell.settings))
            for cell in cells
            if cell.budget.kind == "seconds" and cell.settings.stage != "tuning"
        }
        return sum(session_s(self.step_s.get(arm)) for _, arm in timed)


def _kind(settings: Settings) -> Kind:
    return arm_key(settings), settings.shots, settings.val_per_class, settings.stage == "tuning"
