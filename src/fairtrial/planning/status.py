"""How far a study is: counts by outcome, complete blocks, what runs, what was lost."""

from __future__ import annotations

import contextlib
import gc
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from fairtrial.execution.attempt_log import AttemptLog
from fairtrial.execution.display.watch import Arm, Watch
from fairtrial.screen import duration
from fairtrial.storage.lock import began
from fairtrial.storage.record import Attempt
from fairtrial.storage.store import Store
from fairtrial.study.failure_policy import attempt_words
from fairtrial.study.identity import arm_key
from fairtrial.study.settings import FACTORS
from fairtrial.study.stopping import NOT_REQUIRED, Asked
from fairtrial.study.study import Cell, Study
from fairtrial.tuning.selection import expected_cells


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Leave garbage alone meanwhile: what is read makes none, and every look through it takes longer."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_uncollected()
def status(study: Study, store: Store, asked: Asked | None = None) -> dict[str, Any]:
    """The state of a study as data; `lines` puts it in words.

    asked: what its stopping rule wants; other cells without an outcome are not required.
    """
    books = AttemptLog(store, study.failures)
    cells, trials = expected_cells(study, books.counted)
    ended = books.outcomes()
    left = {cell.id: "pending" if asked is None or cell.id in asked.cells else NOT_REQUIRED for cell in cells}
    failed = {cell: last.status for cell, last in books.last_failures().items()}
    known = left | ended | failed
    counts = Counter(known[cell.id] for cell in cells)
    blocks = Counter(cell.seed for cell in cells if cell.id in ended)
    width = len(cells) // len(study.seeds)
    mine = {cell.id for cell in (*cells, *trials)}
    others = [record for record in books.records if record.cell not in mine]
    running = store.abandoned()
    watch, since = Watch([*trials, *cells], books, len(running)), began(store.folder)
    return {
        "study": study.id,
        "cells": len(cells),
        "counts": dict(counts),
        "tuning_cells": len(trials),
        "tuning_ended": sum(cell.id in ended for cell in trials),
        "complete_seeds": sum(count == width for count in blocks.values()),
        "seeds": len(study.seeds),
        "running": len(running),
        "elapsed_s": max(0.0, time.time() - since) if since is not None and running else None,
        "left_s": watch.left_s() if running else None,
        "arms": [_arm(arm) for arm in watch.arms(lease.cell["id"] for lease, _ in running)],
        "ended_attempts": dict(Counter(r.status for r in books.records if books.outcome(r.cell) is not r)),
        "given_up": books.given_up_words([*trials, *cells]),
        "failed": _failed([*trials, *cells], books),
        "device_s": books.spent_s,
        "lost_s": sum(record.spent.lost_s - (record.spent.carried_s or 0.0) for record in books.records),
        "other_cells": len({record.cell for record in others}),
        "others_have": _apart(cells, others),
        "looks": [] if asked is None else list(asked.said),
        "forecast": _graded(cells, books),
    }


def _arm(arm: Arm) -> dict[str, Any]:
    """One row of an arm: of trials, the mean is that of the best ones."""
    metric, words = "best val_acc" if arm.best else "test_acc", " ".join(arm.words).rstrip()
    count = {"arm": arm.name, "ended": arm.ended, "cells": len(arm.marks)}
    return {**count, "metric": metric, "mean": arm.mean, "interval": arm.interval, "words": words}


def _failed(cells: Iterable[Cell], books: AttemptLog) -> list[str]:
    """Name each cell whose last attempt failed and that will be tried again, with the reason."""
    failed = books.last_failures()
    again = [(cell, failed[cell.id]) for cell in cells if cell.id in failed and not books.given_up(cell.id)]
    return [attempt_words(cell.arm, cell.seed, one.status, one.error) for cell, one in again]


def _apart(cells: list[Cell], others: list[Attempt]) -> dict[str, list[Any]]:
    """Settings, and the budget, of which no recorded other cell has a value that the study has."""
    if not others:
        return {}
    values = {name: dict.fromkeys(getattr(each.settings, name) for each in others) for name in FACTORS}
    values["budget"] = dict.fromkeys(record.budget for record in others)
    ours = [{**cell.settings.record(), "budget": str(cell.budget)} for cell in cells]
    return {
        name: list(have) for name, have in values.items() if not have.keys() & {each[name] for each in ours}
    }


def _graded(cells: list[Cell], books: AttemptLog) -> dict[str, float] | None:
    """What the first finished cell of each arm forecast for the arm's others, and what those took.

    That is how `plan` forecasts; None while no arm has a second finished cell.
    """
    first: dict[str, float] = {}
    forecast_s = spent_s = 0.0
    for cell in cells:
        record = books.outcome(cell.id)
        if record is None or record.status != "done":
            continue
        took, arm = record.spent.cell_s, arm_key(cell.settings)
        if arm in first:
            forecast_s, spent_s = forecast_s + first[arm], spent_s + took
        first.setdefault(arm, took)
    return {"forecast_s": forecast_s, "spent_s": spent_s} if forecast_s else None


def lines(found: dict[str, Any]) -> Iterable[str]:
    """The state as a person reads it."""
    counts = ", ".join(f"{count} {name}" for name, count in sorted(found["counts"].items()))
    yield f"study     {found['study']}: {found['cells']} cells: {counts}"
    if found["tuning_cells"]:
        yield f"tuning    {found['tuning_ended']} of {found['tuning_cells']} trial runs have ended"
    yield f"blocks    {found['complete_seeds']} of {found['seeds']} seeds complete in every arm"
    yield from (f"look      {words}" for words in found["looks"])
    if found["running"]:
        yield f"leases    {found['running']} cells are being run, or were when their driver vanished"
        left = "unknown yet" if found["left_s"] is None else f"about {duration(found['left_s'])}"
        since = "" if found["elapsed_s"] is None else f"{duration(found['elapsed_s'])} since it began; "
        yield f"time      {since}to go: {left}"
    if found["ended_attempts"]:
        ended = ", ".join(f"{count} {name}" for name, count in sorted(found["ended_attempts"].items()))
        yield f"attempts  {ended}; their cells were run again, are pending or were given up"
    yield from (f"failed    {line}" for line in found["given_up"])
    yield from (f"again     {line}: it is tried again" for line in found["failed"])
    for arm in (arm for arm in found["arms"] if arm["mean"] is not None):
        ended = f"{arm['ended']} of {arm['cells']} cells"
        yield f"arm       {arm['arm']}: {ended}, {arm['metric']} {arm['words']}"
    yield f"spent     {duration(found['device_s'])} of device time, {duration(found['lost_s'])} of it lost"
    if found["forecast"]:
        asked, took = found["forecast"]["forecast_s"], found["forecast"]["spent_s"]
        off = f"{round(100 * (took / asked - 1)) or 0:+d} %"
        yield (
            f"forecast  {duration(asked)} for the rest, by each arm's first cell;"
            f" the rest took {duration(took)} ({off})"
        )
    if found["other_cells"]:
        have = [f"{name}={' or '.join(map(str, values))}" for name, values in found["others_have"].items()]
        told = f"; they have {', '.join(have)}" if have else ""
        other = f"{found['other_cells']} cells of earlier declarations"
        yield f"others    {other} stay recorded, not counted{told}"
