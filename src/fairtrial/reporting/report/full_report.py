"""All recorded studies -> one report with a page for each question of the written report."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from fairtrial.reporting.figures import figure_files
from fairtrial.reporting.report import full_page, latex_macros, recorded_studies
from fairtrial.reporting.report.drawing import Hung, Task, exhibits, hang
from fairtrial.reporting.report.latex_macros import escaped
from fairtrial.reporting.report.missing_items import Shown, cover, coverage_table, study_table
from fairtrial.reporting.report.page_content import about, documents
from fairtrial.reporting.report.questions import QUESTIONS
from fairtrial.reporting.report.recorded_studies import Recorded
from fairtrial.reporting.report.wanted_items import WANTED
from fairtrial.reporting.results.timings import timing_folders
from fairtrial.reporting.tables import table as tables
from fairtrial.reporting.tables.table import Table
from fairtrial.storage import atomic

MACROS: Final = "macros.tex"


@dataclass(frozen=True)
class Whole:
    """What was written, and what it could not show: 'F1.3 needs ...'."""

    path: Path
    cells: int
    studies: int
    drawn: int
    missing: tuple[str, ...]
    warnings: tuple[str, ...]
    complete: bool


def build(results: Path, to: Path, *, allow_partial: bool = False, jobs: int | None = None) -> Whole:
    """One report over every study under `results`; equal records give equal bytes, whatever `jobs` is."""
    studies = recorded_studies.read(results, partial=allow_partial)
    benches = {f"bench-{path.name}": path for path in timing_folders(results / "bench")}
    hung = {each.key: each for each in hang(_tasks(results, studies, benches, allow_partial), jobs)}
    shown = cover(studies, hung, list(benches))
    overview = [study_table(studies), coverage_table(shown), *_ledger(studies, allow_partial)]
    pages = documents(studies, hung, shown, overview)
    to.mkdir(parents=True, exist_ok=True)
    for page in pages:
        atomic.publish(to / f"{page.name}.html", full_page.html(page), overwrite=True)
        atomic.publish(to / f"{page.name}.md", full_page.markdown(page), overwrite=True)
    figure_files.write([figure for each in hung.values() for figure in each.figures], to / "figures")
    tables.write([*overview, *_tables(studies, hung)], to / "tables")
    _latex(studies, shown, to)
    return Whole(
        path=to / "report.html",
        cells=sum(study.seen.results.done for study in studies),
        studies=len(studies),
        drawn=sum(each.drawn for each in shown),
        missing=tuple(f"{each.id} needs: {each.needs}" for each in shown if not each.drawn),
        warnings=pages[0].warnings,
        complete=all(study.seen.results.complete for study in studies),
    )


def _ledger(studies: Sequence[Recorded], partial: bool) -> list[Table]:
    """What the records say of published claims; nothing in a tree without the ledger."""
    if importlib.util.find_spec("fairtrial.reporting.claims.ledger") is None:
        return []
    made = importlib.import_module("fairtrial.reporting.claims.ledger").ledger
    told: Table = made([study.seen.results for study in studies], partial=partial)
    return [told]


def _tasks(
    results: Path, studies: Sequence[Recorded], benches: Mapping[str, Path], partial: bool
) -> list[Task]:
    """The largest first, so that no process is left alone with it."""
    largest = sorted(studies, key=lambda study: -study.seen.results.done)
    return [
        *(Task("study", study.key, study.folder, partial) for study in largest),
        *(Task("bench", key, folder) for key, folder in benches.items()),
        *(Task("exhibit", name, results) for name in WANTED if name in exhibits()),
    ]


def _tables(studies: Sequence[Recorded], hung: Mapping[str, Hung]) -> Iterator[Table]:
    for study in studies:
        yield from (replace(table, name=f"{study.key}-{table.name}") for table in study.tables)
    for each in hung.values():
        yield from each.tables


def _latex(studies: Sequence[Recorded], shown: Sequence[Shown], to: Path) -> None:
    """macros.tex, and report.tex that sets sentences and figures with it."""
    made, names = latex_macros.define(studies)
    atomic.publish(to / MACROS, made.text(), overwrite=True)
    lines = ["% \\input{macros} in the preamble, graphicx loaded; then \\input{report} where it belongs."]
    placed: set[str] = set()
    for key, question in QUESTIONS.items():
        lines += ["", f"\\subsection*{{{escaped(question.title)}}}"]
        for study in studies:
            mine = about(key, study)
            pairs = zip(study.seen.said, names[study.key], strict=False)  # the A/A check has no contrast
            said = [f"\\{name}{{}}" for text, name in pairs if text in mine]
            lines += [f"\\paragraph{{{escaped(study.name)}}}", *said] if said else []
        mine_first = [each for each in shown if each.wanted.serves[0] == key]
        for figure in (figure for each in mine_first for _, figure in each.figures):
            lines += [] if figure.name in placed else _figure(figure)
            placed.add(figure.name)
    atomic.publish(to / "report.tex", "\n".join(lines) + "\n", overwrite=True)


def _figure(drawn: figure_files.Drawn) -> list[str]:
    star = "*" if drawn.wide else ""
    return [
        f"\\begin{{figure{star}}}",
        f"\\centering\\includegraphics{{figures/{drawn.name}.pdf}}",
        f"\\caption{{{escaped(drawn.caption)}}}\\label{{fig:{drawn.name}}}",
        f"\\end{{figure{star}}}",
    ]
