"""Every picture of the whole report, drawn side by side in processes; the order never depends on them."""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from fairtrial.errors import INCOMPLETE, Fault
from fairtrial.reporting.figures.figure_files import Drawn, rendered, styled
from fairtrial.reporting.report.study_report import examine, pictures
from fairtrial.reporting.tables.table import Table
from fairtrial.storage.store import Store

_MOST: Final = 4  # processes; each takes about 200 MB


@dataclass(frozen=True)
class Task:
    """What one process draws. kind: 'study', 'bench' or 'exhibit'; its figures are called KEY-NAME."""

    kind: str
    key: str
    folder: Path
    partial: bool = False


@dataclass(frozen=True, eq=False)
class Hung:
    """What came of a task; `needs` says what an exhibit lacks where nothing could be drawn."""

    key: str
    figures: tuple[Drawn, ...] = ()
    tables: tuple[Table, ...] = ()
    needs: str = ""

    def short(self, drawn: Drawn) -> str:
        """The name of a figure without the key: 'contrasts'."""
        return drawn.name.removeprefix(f"{self.key}-")


def exhibits() -> Mapping[str, Callable[[Path], Any]]:
    """The registry of exhibits that need no cells; empty in a tree without it."""
    if importlib.util.find_spec("fairtrial.reporting.report.report_items") is None:
        return {}
    found: Mapping[str, Callable[[Path], Any]] = importlib.import_module(
        "fairtrial.reporting.report.report_items"
    ).EXHIBITS
    return found


def hang(tasks: Sequence[Task], jobs: int | None = None) -> list[Hung]:
    """Draw every task, in as many processes as there are cores; results in the order of the tasks."""
    jobs = min(jobs or os.cpu_count() or 1, len(tasks), _MOST)
    if jobs < 2:
        return [draw(task) for task in tasks]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(draw, tasks))


def draw(task: Task) -> Hung:
    """The pictures of one task."""
    return {"study": _study, "bench": _bench, "exhibit": _exhibit}[task.kind](task)


def _study(task: Task) -> Hung:
    drawn = pictures(examine(Store(task.folder), allow_partial=task.partial))
    return Hung(task.key, tuple(replace(each, name=f"{task.key}-{each.name}") for each in drawn))


def _bench(task: Task) -> Hung:
    from fairtrial.reporting.figures.speed_figures import pictures as speed
    from fairtrial.reporting.results.timings import read_timings
    from fairtrial.reporting.tables.speed_tables import table

    timings = read_timings(task.folder)
    with styled():
        drawn = tuple(rendered(f"{task.key}-{name}", text, figure) for name, text, figure in speed(timings))
    told = table(timings)
    return Hung(task.key, drawn, (replace(told, name=f"{task.key}-{told.name}"),))


def _exhibit(task: Task) -> Hung:
    name = task.key.lower().replace(".", "-")
    try:
        with styled():
            found = exhibits()[task.key](task.folder)
            if found.kind == "table":
                return Hung(task.key, tables=(replace(found.thing, name=name),))
            return Hung(task.key, (rendered(name, found.caption, found.thing),))
    except Fault as error:
        if error.code != INCOMPLETE:
            raise
        do = error.problems[0].do.replace(
            f" --results {task.folder}", ""
        )  # a report names no path of a machine
        return Hung(task.key, needs=do)
