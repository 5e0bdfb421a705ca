"""What a study needs is looked at before its declaration is written: a slip of the pen changes no record."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Protocol

from fairtrial.execution.attempt_log import AttemptLog
from fairtrial.execution.engine import Message, Worker
from fairtrial.execution.worker_pool import WorkerPool
from fairtrial.screen import announce, working
from fairtrial.signals import Stop
from fairtrial.storage.declaration import registered
from fairtrial.storage.record import cell_message
from fairtrial.storage.store import Store
from fairtrial.study.study import Cell, Study
from fairtrial.tuning.selection import expected_cells


class Looking(Protocol):
    """A driver before its first cell. workers: ends its pool; refuse_mixing: a worker unlike the records."""

    study: Study
    store: Store
    log: AttemptLog
    stop: Stop
    workers: ExitStack

    def start(self) -> WorkerPool: ...
    def refuse_mixing(self, worker: Worker) -> None: ...


def may_declare(driver: Looking) -> bool:
    """Look for a part of a study, which declares as soon as it holds its lock; False after a signal."""
    with driver.workers:
        return _looked(driver) is not None


def declare_checked(driver: Looking) -> bool:
    """Look, then declare the study of a driver; False after a signal, undeclared."""
    pending = _looked(driver)
    if pending is None:
        return False
    driver.store.declare(driver.study)
    if pending:
        _say_what_came_late(driver.study, driver.store)
    return True


def _looked(driver: Looking) -> list[Cell] | None:
    """Return the cells without an outcome; None after a signal.

    Where a declaration would be new, a worker opens first what they need: a Fault, and all stands.
    """
    cells, trials = expected_cells(driver.study, driver.log.counted)
    pending = driver.log.pending([*trials, *cells])
    if pending and driver.store.declared_as(driver.study) is None:
        pool = driver.start()
        with working("opening data and weights") as tell:
            worker = pool.first_ready(driver.stop)
            if worker is None or not pool.look(worker, one_of_each(pending), driver.stop, tell):
                return None
        driver.refuse_mixing(worker)
    return pending


def _say_what_came_late(study: Study, store: Store) -> None:
    """Say before the first cell which contrasts the report will call exploratory, and how to avoid it."""
    history = store.declared()["history"]
    late = [one.name for one in study.contrasts if not registered(history, one.name)]
    if late:
        which = "every contrast" if len(late) == len(study.contrasts) else ", ".join(late)
        before = f"{history[-1]['seen']} cells of this study had ended before this declaration"
        announce(
            f"exploratory: {which}: {before}; "
            "another --results folder, and seeds that nobody saw, make it confirmatory"
        )


def one_of_each(cells: list[Cell]) -> list[Message]:
    """Return one cell for each set of images and initial checkpoint, as a worker reads it."""
    found: dict[object, Cell] = {}
    for cell in cells:
        settings = cell.settings
        files = (cell.data, settings.resolution, cell.indices, settings.shots, settings.val_per_class)
        found.setdefault((*files, settings.start_key, cell.upstream_seed), cell)
    return [cell_message(cell) for cell in found.values()]
