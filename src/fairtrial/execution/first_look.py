"""What a study needs is looked at before its declaration is written: a slip of the pen changes no record."""

from __future__ import annotations

from collections.abc import Callable

from fairtrial.execution.attempt_log import AttemptLog
from fairtrial.execution.engine import Message, Worker
from fairtrial.execution.engines import declaration_of, engine_of, first_message
from fairtrial.execution.run_options import Options
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
    pending = _pending(study, log)
    if pending and store.declared_as(study) is None:
        worker = _looked(start(), pending, stop)
        if worker is None:
            return False
        refuse(worker)
    store.declare(study)
    if pending:
        _say_what_came_late(study, store)
    return True


def part_may_declare(study: Study, store: Store, options: Options, stop: Stop) -> bool:
    """Look before a part of a study declares it, which it does as it begins; False after a signal.

    Nobody drives the folder yet: the worker that looks is not one of those that run cells.
    """
    if options.part is None or store.declared_as(study) is not None:
        return True
    if not (pending := _pending(study, AttemptLog(store, study.failures))):
        return True
    first = first_message(study, store, options, declaration_of(store, study))
    with WorkerPool(engine_of(study, options, pending), first) as pool:
        return _looked(pool, pending, stop) is not None


def _pending(study: Study, log: AttemptLog) -> list[Cell]:
    cells, trials = expected_cells(study, log.counted)
    return log.pending([*trials, *cells])


def _looked(pool: WorkerPool, pending: list[Cell], stop: Stop) -> Worker | None:
    """Return the worker that could open what cells need; None after a signal, and a Fault if it cannot."""
    with working("opening data and weights"):
        worker = pool.first_ready(stop)
        opened = worker is not None and pool.look(worker, one_of_each(pending), stop)
    return worker if opened else None


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
