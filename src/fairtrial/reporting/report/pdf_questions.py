"""The pages of the questions as one document in two columns: answers first, then what each rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from fairtrial.reporting.report.full_page import TITLE
from fairtrial.reporting.report.pdf_document import (
    Block,
    Bullets,
    Document,
    Facts,
    Heading,
    Line,
    Note,
    Picture,
    Section,
    Tabular,
)
from fairtrial.reporting.report.pdf_report import HOW_TO_READ, MAKER, dated, latest, pointers_to
from fairtrial.reporting.wording import plural

if TYPE_CHECKING:
    from fairtrial.reporting.report.page_model import NumberedFigure, NumberedTable, QuestionPage
    from fairtrial.reporting.report.recorded_studies import RecordedStudy

_WORKS: Final = {  # of a question: keys of references.bib
    "Q1": ("bit",),
    "Q2": ("bit", "resnet", "preactivation", "gn", "ws"),
    "Q3": ("bn", "gn", "ws", "bit"),
    "Q4": ("mixup", "bit"),
    "Q5": ("bit", "retinanet", "fpn"),
    "EC": ("bit",),
}


def of_questions(pages: Sequence[QuestionPage], studies: Sequence[RecordedStudy]) -> Document:
    """Return all questions as one document; what several of them show stands under the first."""
    results = [study.verdicts.results for study in studies]
    answers = [Line(" ".join(page.answer), page.asks) for page in pages]
    placed = _Placed()
    sections = [_section(page, placed) for page in pages]
    sources = dict.fromkeys((name, line) for page in pages for _, name, line in page.sources)
    warnings = dict.fromkeys(text for page in pages for text in page.warnings)
    cells = sum(one.done for one in results)
    number = "1 study" if len(studies) == 1 else f"{len(studies)} studies"
    return Document(
        title=TITLE,
        subtitle=f"{plural(cells, 'recorded run')} of {number}. {dated(results)}",
        made=latest(results),
        maker=MAKER,
        alarms=tuple(dict.fromkeys(text for page in pages for text in page.alarms)),
        sections=(Section("Answers", tuple(answers)), *sections, HOW_TO_READ),
        appendix=(
            Section("Every verdict", tuple(_verdicts(pages))),
            Section("Notes on the figures", tuple(placed.notes)),
            Section("Tables", tuple(placed.late)),
            Section("Studies quoted", (Facts(tuple(sources)),)),
            Section("Warnings", (Bullets(tuple(map(Line, warnings))),) if warnings else ()),
        ),
    )


class _Placed:
    """What the document shows already. notes: of its figures; late: tables at its end; evidence: by page."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.notes: list[Note] = []
        self.late: list[Tabular] = []
        self.evidence: list[Tabular] = []

    def figure(self, one: NumberedFigure) -> Picture:
        if one.notes and one.figure.name not in self.names:
            self.notes.append(Note(one.figure.name, one.notes))
        source = f" From: {one.source}." if one.figure.provenance else ""
        caption = f"{one.plain} {one.caption}{source}"
        return Picture(one.figure.name, one.figure, f"{one.title}.", caption)

    def evidence_of(self, page: QuestionPage) -> list[Tabular]:
        """Return the table of a page's evidence; that of an earlier page where the rows are the same."""
        if page.evidence.table is None:
            return []
        table = replace(page.evidence.table, title=f"{page.title}: every primary contrast")
        own = _tabular(table, f"evidence-{page.slug}")
        self.evidence.append(next((one for one in self.evidence if one.rows == own.rows), own))
        return self.evidence[-1:]

    def new(self, blocks: Sequence[Picture | Tabular]) -> list[Block]:
        """Return those that were not placed before; tables that may need a page go to the end."""
        fresh = [block for block in blocks if block.name not in self.names]
        self.names |= {block.name for block in fresh}
        self.late += [block for block in fresh if isinstance(block, Tabular) and block.long]
        return [block for block in fresh if isinstance(block, Picture) or not block.long]


def _section(page: QuestionPage, placed: _Placed) -> Section:
    """Return what is known about one question; what may be claimed where anything is."""
    figures = [*([page.main] if page.main else []), *page.explaining]
    pictures = [placed.figure(one) for one in figures]
    tables = [*(_tabular(one, one.table.name) for one in page.tables), *placed.evidence_of(page)]
    shown: tuple[Block, ...] = ()
    if pictures or tables:
        shown = (
            *placed.new([*pictures, *tables]),
            pointers_to("Shown in:", [*pictures, *tables]),
            Heading("What may be claimed"),
            Bullets(tuple(map(Line, page.may))),
            Heading("What may not be claimed"),
            Bullets(tuple(map(Line, page.may_not))),
        )
    missing = ", ".join(f"{name} ({number})" for number, name, _ in page.missing)
    lacks = (Line(f"{missing}.", "Not drawn:"),) if missing else ()
    return Section(page.title, (Line(page.asks, "Question.", cites=_WORKS[page.key]), *shown, *lacks))


def _tabular(one: NumberedTable, name: str) -> Tabular:
    return Tabular(f"table-{name}", one.table, f"{one.title}.", f"{one.plain} {one.table.caption}")


def _verdicts(pages: Sequence[QuestionPage]) -> list[Block]:
    """Return the statistical sentence of each verdict once, under the first question that it speaks of."""
    said: set[tuple[str, str]] = set()
    blocks: list[Block] = []
    for page in pages:
        fresh = [(text, study) for _, text, study in page.evidence.sentences if (text, study) not in said]
        said |= set(fresh)
        if fresh:
            lines = tuple(Line(text, f"{study}:") for text, study in fresh)
            blocks += [Heading(page.title), Bullets(lines)]
    return blocks
