"""What a study will take, from the seconds of a step and of an evaluation of each arm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from fairtrial.execution.run_options import Options
from fairtrial.execution.step_times import made_here, step_seconds
from fairtrial.storage.record import Attempt
from fairtrial.storage.store import Store
from fairtrial.study.identity import arm_key
from fairtrial.study.settings import Settings
from fairtrial.study.study import Cell


@dataclass(frozen=True)
class Costs:
    """What is known here of a study's arms, by their keys.

    step_s: seconds of a step. looked: (arm, whether a trial) -> seconds of evaluation and loading of recorded
    cells, the median. looks: seconds of validation and of the test in a cell, as calibrated.
    """

    step_s: Mapping[str, float]
    looked: Mapping[tuple[str, bool], float] = field(default_factory=dict)
    looks: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store, attempts: Iterable[Attempt], options: Options) -> Costs:
        """Read a study's records and calibrations. attempts: those of the store."""
        records, here = list(attempts), made_here(options.threads, options.device)
        spent: defaultdict[tuple[str, bool], list[float]] = defaultdict(list)
        for one in records:
            if one.status == "done" and one.spent.steps and here(one.provenance):
                spent[_kind(one.settings)].append(one.spent.eval_s + one.spent.load_s)
        looks: dict[str, Sequence[float]] = {}
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
        arm, trial = _kind(cell.settings)
        if (seconds := self.looked.get((arm, trial))) is not None:
            return seconds
        calibrated = self.looks.get(arm)
        return None if calibrated is None else calibrated[0] + (0.0 if trial else calibrated[1])

    def cell_s(self, cell: Cell) -> float | None:
        """Seconds that a cell will take, training alone where no evaluation was timed; None as `train_s`."""
        seconds = self.train_s(cell)
        return None if seconds is None else seconds + (self.looks_s(cell) or 0.0)


def _kind(settings: Settings) -> tuple[str, bool]:
    return arm_key(settings), settings.stage == "tuning"
