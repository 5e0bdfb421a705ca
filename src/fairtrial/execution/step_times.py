"""Seconds per step of each arm: from calibrations, and from cells that ran; and what timing them takes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from fairtrial.errors import REFUSED, fault
from fairtrial.storage import provenance
from fairtrial.storage.provenance import Provenance
from fairtrial.storage.record import Attempt
from fairtrial.storage.store import Store
from fairtrial.study.identity import arm_key
from fairtrial.study.study import Cell

LAUNCHES: Final = 5  # of each arm at least; their mean counts, as a cell pays for the slow moments too
LAUNCH_S: Final = 0.5  # seconds that one timed launch aims at
WARM_UP: Final = 3  # steps of a launch that are not timed, after the first one, which allocates
LONG_S: Final = 5.0  # a step above it is warmed up by one step, timed by one, and launched no more


def timed_steps(step_s: float) -> int:
    """Return how many steps of about so many seconds a launch times."""
    return min(2000, max(5, math.ceil(LAUNCH_S / step_s)))


def session_s(step_s: float | None) -> float:
    """Return the seconds of an arm's launches before a seed; about, where no step of it was timed."""
    if step_s is None:
        return LAUNCHES * LAUNCH_S
    if step_s > LONG_S:
        return 2 * step_s
    return LAUNCHES * step_s * (1 + WARM_UP + timed_steps(step_s))


def first_cells(cells: Iterable[Cell]) -> dict[str, Cell]:
    """Return the first cell of each arm, by the arm's key."""
    first: dict[str, Cell] = {}
    for cell in cells:
        first.setdefault(arm_key(cell.settings), cell)
    return first


def calibrated(store: Store, origin: Mapping[str, Any]) -> dict[str, float]:
    """Return arm key -> seconds per step of a worker like this one, timed alone; the newest one wins.

    origin: the worker's own account of where it runs. Threads, processor, device and kernels must agree.
    """
    here = tuple(origin[name] for name in ("threads", "cpu", "device", "kernels"))
    known: dict[str, float] = {}
    for calibration in store.calibrations():
        place = calibration.provenance
        if calibration.alone and (place.threads, place.cpu, place.device, place.kernels) == here:
            known |= calibration.step_s
    return known


def made_here(threads: int, device: str = "cpu") -> Callable[[Provenance], bool]:
    """Return what says whether seconds come from such a processor, so many threads, such a device."""
    cpu = provenance.cpu_model()

    def here(place: Provenance) -> bool:
        return (place.threads, place.cpu, place.device == "cpu") == (threads, cpu, device == "cpu")

    return here


def step_seconds(
    store: Store, attempts: Iterable[Attempt], threads: int, device: str = "cpu"
) -> dict[str, float]:
    """Return arm key -> seconds per step, as far as known before a worker has started here.

    attempts: those of the store. The newest calibration counts, else the median of recorded cells.
    """

    from statistics import median  # of all that needs the keys of arms, this alone needs it

    here = made_here(threads, device)
    times: dict[str, list[float]] = defaultdict(list)
    for attempt in attempts:
        if attempt.status == "done" and attempt.spent.steps and here(attempt.provenance):
            times[arm_key(attempt.settings)].append(attempt.spent.train_s / attempt.spent.steps)
    known = {arm: median(seconds) for arm, seconds in times.items()}
    for calibration in store.calibrations():
        if here(calibration.provenance):
            known |= calibration.step_s
    return known


def step_time_of(cell: Cell, step_s: Mapping[str, float]) -> float | None:
    """Return the seconds of a step of this cell's arm; None where its budget needs none.

    A Fault (exit 4) where a budget in seconds meets an arm that was not timed: it has no number of steps.
    """
    if cell.budget.kind != "seconds":
        return None
    seconds = step_s.get(arm_key(cell.settings), 0.0)
    if seconds > 0:
        return seconds
    what = f"no step of {cell.arm} was timed, so a budget of {cell.budget} cannot be turned into steps"
    raise fault(
        what, "the study's calibrations", "time the arms anew: fairtrial plan STUDY --calibrate", REFUSED
    )
