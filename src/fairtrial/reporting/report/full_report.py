"""All recorded studies -> one report with a page for each question of the written report."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from fairtrial.errors import INCOMPLETE, Fault
from fairtrial.reporting.claims.ledger import ledger
from fairtrial.reporting.claims.read_claims import Recorded, entries, read_benches, read_probes
from fairtrial.reporting.derived_files import write_files
from fairtrial.reporting.figures.figure_files import FORMATS, figure_files
from fairtrial.reporting.report import figure_registry, full_page, latex, study_page
from fairtrial.reporting.report.contrast_tables import every_contrast, shared_table
from fairtrial.reporting.report.merged_warnings import merged_warnings
from fairtrial.reporting.report.missing_items import (
    CoveredItem,
    Drawings,
    cover,
    coverage_table,
    study_table,
)
from fairtrial.reporting.report.pdf_document import PDF, refuse_without_typst, typeset
from fairtrial.reporting.report.pdf_questions import of_questions
from fairtrial.reporting.report.question_pages import question_pages
from fairtrial.reporting.report.recorded_studies import RecordedStudy, study_folders
from fairtrial.reporting.report_item import BENCH, RESULTS, STUDY
from fairtrial.reporting.results import shared_runs, timings
from fairtrial.reporting.tables.table import table_files
from fairtrial.reporting.verdicts.study_verdicts import judge_study
from fairtrial.reporting.wording import clean
from fairtrial.screen import working
from fairtrial.signals import end_with_parent, withheld
from fairtrial.storage.store import Store

MOST_PROCESSES: Final = 4  # each takes about 200 MB
Given = TypeVar("Given")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class FullReport:
    """What was written, and what it could not show: 'F1.3 needs ...'. told: the warnings in few lines."""

    path: Path
    cells: int
    studies: int
    drawn: int
    missing: tuple[str, ...]
    warnings: tuple[str, ...]
    told: tuple[str, ...]
    complete: bool


@dataclass(frozen=True)
class DrawingTask:
    """What one process draws. key: of a study or bench, or id of an item."""

    source: str
    key: str
    folder: Path
    partial: bool = False
    formats: Collection[str] = FORMATS
    label: str = ""  # of a study, for a reader


def build(
    results: Path, to: Path, *, allow_partial: bool = False, jobs: int | None = None, pdf: bool = False
) -> FullReport:
    """Write one report over every study under `results`; equal records give equal bytes for any `jobs`.

    pdf: the questions as one document too; a Fault without its extra.
    """
    if pdf:
        refuse_without_typst()
    files, studies, covered = report_files(results, partial=allow_partial, jobs=jobs, pdf=pdf)
    write_files(to, files)
    warnings = [f"{study.label}: {text}" for study in studies for text in study.verdicts.warnings]
    return FullReport(
        path=to / (PDF if pdf else "report.html"),
        cells=sum(study.verdicts.results.done for study in studies),
        studies=len(studies),
        drawn=sum(item.drawn for item in covered),
        missing=tuple(f"{item.item.id} needs: {item.needs}" for item in covered if not item.drawn),
        warnings=tuple(warnings),
        told=tuple(merged_warnings((study.label, study.verdicts) for study in studies)),
        complete=all(study.verdicts.results.complete for study in studies),
    )


def report_files(
    results: Path,
    *,
    partial: bool = False,
    jobs: int | None = None,
    formats: Collection[str] = FORMATS,
    pdf: bool = False,
) -> tuple[dict[str, str | bytes], list[RecordedStudy], list[CoveredItem]]:
    """Return the files of the report by their names, and the studies and items that they show."""
    folders = study_folders(results)
    benches = {f"bench-{path.name}": path for path in timings.timing_folders(results / "bench")}
    tasks = _tasks(results, folders, benches, partial, formats)
    drawings = {drawn.key: drawn for drawn in in_processes(draw, tasks, jobs)}
    judged = [study for key in folders if (study := drawings[key].study)]
    shared = shared_runs.among({study.label: study.verdicts.results for study in judged})
    studies = [replace(study, shared=shared[study.label]) for study in judged]
    covered = cover(figure_registry.report_items(), studies, drawings, list(benches))
    read = [study.verdicts.results for study in studies]
    claims = entries(Recorded(read, read_benches([results]), partial, read_probes([results])))
    overview = [
        study_table(studies),
        every_contrast(studies, claims),
        shared_table(studies),
        coverage_table(covered),
        ledger(claims),
    ]
    pages = question_pages(studies, drawings, covered, figure_registry.ON_PAGE)
    warnings = tuple(text for study in studies for text in study.warnings)
    index = full_page.Index(overview, tuple(text for study in studies for text in study.alarms), warnings)
    files: dict[str, str | bytes] = {
        "index.html": full_page.index_html(index, pages),
        "index.md": full_page.index_markdown(index, pages),
        "report.html": full_page.whole_html(pages, index.alarms),
        "report.md": full_page.markdown(*pages),
    }
    if pdf:
        files[PDF] = typeset(of_questions(pages, studies))
    for page in pages:
        files[f"{page.slug}.html"] = full_page.html(page)
        files[f"{page.slug}.md"] = full_page.markdown(page)
    for study in studies:
        content = study_page.facts(study.verdicts, study.shared), drawings[study.key].figures, study.tables
        files[f"study-{study.key}.html"] = study_page.html(*content, study.verdicts.warnings, key=study.key)
    files |= figure_files(figure for drawn in drawings.values() for figure in drawn.figures)
    files |= table_files([*overview, *(table for drawn in drawings.values() for table in drawn.tables)])
    for study in studies:
        files |= table_files(replace(table, name=f"{study.key}-{table.name}") for table in study.tables)
    return files | latex.files(studies, covered), studies, covered


def _tasks(
    results: Path,
    folders: Mapping[str, Path],
    benches: Mapping[str, Path],
    partial: bool,
    formats: Collection[str],
) -> list[DrawingTask]:
    """Return what is to be drawn; the largest first, so that no process is left alone with it."""
    largest = sorted(folders.items(), key=lambda item: -sum(1 for _ in item[1].glob("cells/*")))
    labels = {key: clean(folder.relative_to(results).as_posix()) for key, folder in folders.items()}
    items = figure_registry.report_items().values()
    return [
        *(DrawingTask(STUDY, key, folder, partial, formats, labels[key]) for key, folder in largest),
        *(DrawingTask(BENCH, key, folder, partial, formats) for key, folder in benches.items()),
        *(
            DrawingTask(RESULTS, item.id, results, partial, formats)
            for item, row in items
            if row is not None and row.source == RESULTS
        ),
    ]


def in_processes(
    function: Callable[[Given], Answer], given: Sequence[Given], jobs: int | None = None
) -> list[Answer]:
    """Return function(each) in their order, in as many processes as there are cores."""
    jobs = min(jobs or os.cpu_count() or 1, len(given), MOST_PROCESSES)
    if jobs < 2 or multiprocessing.parent_process() is not None:
        return _counted(map(function, given), len(given))
    # else each would take a queue.py of the current folder for the library's
    os.environ["PYTHONSAFEPATH"] = "1"
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, spawn, initializer=end_with_parent) as pool:
        with withheld():  # a signal to the whole group ends this process, which ends those
            answers = pool.map(function, given)
        return _counted(answers, len(given))


def _counted(answers: Iterable[Answer], number: int) -> list[Answer]:
    """Return answers as they come, and show how many of them there are by now."""
    found = []
    with working("parts", number) as done:
        for answer in answers:
            found.append(answer)
            done(len(found))
    return found


def judge(task: DrawingTask) -> RecordedStudy:
    """Read the study of a task and make its tables; a record that cannot be trusted is a Fault."""
    verdicts = judge_study(Store(task.folder), partial=task.partial)
    tables = tuple(figure_registry.tabulate_study(verdicts))
    return RecordedStudy(task.key, task.label, task.folder, verdicts, tables)


def draw(task: DrawingTask) -> Drawings:
    """Make the figures and tables of one task; a study is judged here, and nowhere else."""
    if task.source == STUDY:
        study = judge(task)
        figures = [
            replace(figure, name=f"{task.key}-{figure.name}")
            for figure in figure_registry.draw_study(study.verdicts, task.formats)
        ]
        return Drawings(task.key, figures, study=study)
    if task.source == BENCH:
        timed = timings.read_timings(task.folder)
        figures = figure_registry.draw_rows(BENCH, timed, f"{task.key}-", task.formats)
        tables = figure_registry.tabulate_rows(BENCH, timed)
        return Drawings(task.key, figures, [replace(t, name=f"{task.key}-{t.name}") for t in tables])
    try:
        return Drawings(task.key, *figure_registry.draw_item(task.key, task.folder, task.formats))
    except Fault as error:
        if error.code != INCOMPLETE:
            raise
        # a report names no path of a machine
        needs = error.problems[0].do.replace(f" --results {task.folder}", "")
        return Drawings(task.key, needs=needs)
