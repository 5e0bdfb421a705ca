"""Seconds per step of each arm, from calibrations and from cells that ran; what a study will take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from statistics import median

from fairtrial.storage import provenance
from fairtrial.storage.record import Provenance
from fairtrial.storage.store import Store
from fairtrial.study.identity import digest
from fairtrial.study.settings import Settings
from fairtrial.study.study import Cell


def arm_of(settings: Settings) -> str:
    """Return a short key of what the time of a step depends on."""
    return digest(settings.step_identity())[:12]


def step_seconds(store: Store, threads: int, device: str = "cpu") -> dict[str, float]:
    """Arm key -> seconds per step as here: the newest calibration, else the median of recorded cells."""
    times: dict[str, list[float]] = defaultdict(list)
    for record in store.read_attempts()[0]:
        spent = record.spent
        if record.status == "done" and spent.steps and _as_here(record.provenance, threads, device):
            times[arm_of(record.settings)].append(spent.train_s / spent.steps)
    known = {arm: median(seconds) for arm, seconds in times.items()}
    return known | calibrated(store, threads, device)


def calibrated(
    store: Store, threads: int, device: str = "cpu", kernels: str | None = None
) -> dict[str, float]:
    """Arm key -> seconds per step from calibrations made as here; the newest one wins.

    kernels: what "fastest" comes to here; None takes any.
    """
    return {
        arm: seconds
        for calibration in store.calibrations()
        if _as_here(calibration.provenance, threads, device)
        and kernels in (None, calibration.provenance.kernels)
        for arm, seconds in calibration.step_s.items()
    }


def _as_here(recorded: Provenance, threads: int, device: str) -> bool:
    """Whether a time was taken on a processor like this one, with as many threads, on this kind of device."""
    if recorded.threads != threads or recorded.cpu != provenance.cpu_model():
        return False
    return (recorded.device == "cpu") == (device == "cpu")


def cell_seconds(cell: Cell, known: dict[str, float]) -> float | None:
    """Training seconds that a cell will take; None when no step of its arm was ever timed."""
    if cell.budget.kind == "seconds":
        return cell.budget.amount
    seconds = known.get(arm_of(cell.settings))
    if seconds is None or cell.budget.kind == "flops":
        return None
    return seconds * cell.budget.steps_for(cell.settings.batch_size)


def arms_of(cells: Iterable[Cell]) -> dict[str, Cell]:
    """Arm key -> its first cell."""
    first: dict[str, Cell] = {}
    for cell in cells:
        first.setdefault(arm_of(cell.settings), cell)
    return first


def overhead(store: Store) -> float:
    """(evaluation + loading) over training seconds, the median of recorded cells; 0 when there are none."""
    shares = [
        (attempt.spent.eval_s + attempt.spent.load_s) / attempt.spent.train_s
        for attempt in store.read_attempts()[0]
        if attempt.spent.train_s > 0
    ]
    return median(shares) if shares else 0.0
