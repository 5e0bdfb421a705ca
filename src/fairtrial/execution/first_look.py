"""What a study needs is looked at before its declaration is written: a slip of the pen changes no record."""

from __future__ import annotations

from collections.abc import Callable

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


def declare_checked(
    study: Study,
    store: Store,
    log: AttemptLog,
    start: Callable[[], WorkerPool],
    stop: Stop,
    refuse: Callable[[Worker], None],
) -> bool:
    """Declare a study; where that is new, a worker opens first what its cells need: a Fault, and all stands.

    start: of the pool. refuse: a worker that is unlike the records. False after a signal, undeclared.
    """
    cells, trials = expected_cells(study, log.counted)
    pending = log.pending([*trials, *cells])
    if pending and store.declared_as(study) is None:
        pool = start()
        with working("opening data and weights"):
            worker = pool.first_ready(stop)
            if worker is None or not pool.look(worker, one_of_each(pending), stop):
                return False
        refuse(worker)
    store.declare(study)
    if pending:
        _say_what_came_late(study, store)
    return True


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
