"""Seconds per step of each arm: from calibrations, from trials, and from cells that ran."""

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
from fairtrial.study.failure_policy import DONE
from fairtrial.study.identity import arm_key
from fairtrial.study.study import Cell

LAUNCHES: Final = 5  # of each arm at least, or so many trials


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
    known: dict[str, float] = {}
    for calibration in store.calibrations():
        if calibration.alone and _same_place(calibration.provenance, origin):
            known |= calibration.step_s
    return known


def of_trials(outcomes: Iterable[Attempt], origin: Mapping[str, Any]) -> dict[str, float]:
    """Return arm key -> seconds per step over the finished trials that a worker like this one made.

    The geometric mean, as `cost_parity` compares runs by theirs. Nothing of an arm with fewer trials than it
    would have launches.
    """
    from statistics import geometric_mean  # as the median below

    times: defaultdict[str, list[float]] = defaultdict(list)
    for one in outcomes:
        trained = one.status == DONE and one.spent.steps and one.spent.train_s > 0
        if trained and one.settings.stage == "tuning" and _same_place(one.provenance, origin):
            times[arm_key(one.settings)].append(one.spent.train_s / one.spent.steps)
    return {arm: geometric_mean(seconds) for arm, seconds in times.items() if len(seconds) >= LAUNCHES}


def _same_place(place: Provenance, origin: Mapping[str, Any]) -> bool:
    return all(getattr(place, name) == origin[name] for name in ("threads", "cpu", "device", "kernels"))


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


def step_time_of(
    cell: Cell, step_s: Mapping[str, float], outcomes: Iterable[Attempt], origin: Mapping[str, Any]
) -> float | None:
    """Return the seconds of a step of this cell's arm; None where its budget needs none.

    step_s: by launches, which alone set the steps of trials. outcomes: of the study by now. Those of runs are
    set by launches and trials together, as every trial has ended: launches are steadier, trials train as
    runs do and just before them. origin: of the worker that will run the cell.
    A Fault (exit 4) where a budget in seconds meets an arm that was not timed: it has no number of steps.
    """
    if cell.budget.kind != "seconds":
        return None
    arm = arm_key(cell.settings)
    trials = {} if cell.settings.stage == "tuning" else of_trials(outcomes, origin)
    seconds = step_s.get(arm, 0.0)
    if seconds > 0:
        return math.sqrt(seconds * trials.get(arm, seconds))
    what = f"no step of {cell.arm} was timed, so a budget of {cell.budget} cannot be turned into steps"
    raise fault(
        what, "the study's calibrations", "time the arms anew: fairtrial plan STUDY --calibrate", REFUSED
    )
