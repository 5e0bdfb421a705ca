"""The pages of the report over all studies, as HTML and as Markdown: each figure stands once on a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from fairtrial.reporting.report import study_page
from fairtrial.reporting.report.contrast_tables import primary_contrasts
from fairtrial.reporting.report.questions import QUESTIONS, Question
from fairtrial.reporting.report.study_page import render_page, table_content
from fairtrial.reporting.tables.table import markdown_text as text

if TYPE_CHECKING:
    from fairtrial.reporting.figures.figure_files import RenderedFigure
    from fairtrial.reporting.report.missing_items import CoveredItem, Drawings
    from fairtrial.reporting.report.recorded_studies import RecordedStudy
    from fairtrial.reporting.tables.table import Table


@dataclass(frozen=True, eq=False)
class PlacedFigure:
    """A figure at one place; `first` is where the page draws it, if that is elsewhere."""

    source: str
    figure: RenderedFigure
    first: str = ""


@dataclass(frozen=True, eq=False)
class PlacedItem:
    """An item at one place; `first` is its id, if an earlier section of the page shows it."""

    covered: CoveredItem
    figures: tuple[PlacedFigure, ...]
    first: str = ""


@dataclass(frozen=True, eq=False)
class Section:
    """One question with what is recorded on it. sentences: (study, its sentences about the question)."""

    key: str
    question: Question
    sentences: tuple[tuple[RecordedStudy, tuple[str, ...]], ...]
    forests: tuple[PlacedFigure, ...]
    items: tuple[PlacedItem, ...]
    more: tuple[PlacedFigure, ...]  # figures of its studies that no item asks for
    missing: tuple[CoveredItem, ...]


@dataclass(frozen=True, eq=False)
class Page:
    """One page: its name, its title, its sections, the studies that it tells in full."""

    name: str
    title: str
    sections: tuple[Section, ...]
    studies: tuple[RecordedStudy, ...]
    overview: tuple[Table, ...] = ()
    warnings: tuple[str, ...] = ()


class _Places:
    """Where a page has already drawn what."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}

    def put(self, source: str, figure: RenderedFigure, place: str) -> PlacedFigure:
        return PlacedFigure(source, figure, self.first(figure.name, place))

    def first(self, name: str, place: str) -> str:
        """Return where it stands already; empty the first time, which is noted."""
        if name in self.places:
            return self.places[name]
        self.places[name] = place
        return ""


def pages(
    studies: Sequence[RecordedStudy],
    drawings: Mapping[str, Drawings],
    covered: Sequence[CoveredItem],
    overview: Sequence[Table],
) -> list[Page]:
    """Return the index, a page per question, and the report that holds them all."""
    warnings = tuple(f"{study.label}: {warning}" for study in studies for warning in study.verdicts.warnings)
    made = [Page("index", "Big Transfer: what the recorded trials say", (), (), tuple(overview), warnings)]
    for key, question in QUESTIONS.items():
        section = _section(key, studies, drawings, covered, _Places())
        keys = {study.key for study, _ in section.sentences}
        keys |= {key for item in section.items for key in item.covered.studies}
        in_full = tuple(study for study in studies if study.key in keys)  # for their fairness
        quoted = (primary_contrasts([study for study, _ in section.sentences]),) if section.sentences else ()
        made.append(Page(question.slug, question.title, (section,), in_full, quoted))
    places = _Places()
    sections = tuple(_section(key, studies, drawings, covered, places) for key in QUESTIONS)
    return [*made, Page("report", made[0].title, sections, tuple(studies), tuple(overview), warnings)]


def _section(
    key: str,
    studies: Sequence[RecordedStudy],
    drawings: Mapping[str, Drawings],
    covered: Sequence[CoveredItem],
    places: _Places,
) -> Section:
    about = [(study, study.sentences_about(QUESTIONS[key].about)) for study in studies]
    sentences = tuple((study, lines) for study, lines in about if lines)
    asked = [item for item in covered if key in item.item.questions]
    items = tuple(_placed(item, places) for item in asked if item.drawn)
    wanted = {figure.name for item in covered for _, figure in item.figures}
    forests: list[PlacedFigure] = []
    more: list[PlacedFigure] = []
    for study, _ in sentences:
        for figure in drawings[study.key].figures:
            if drawings[study.key].short_name(figure).startswith("contrasts"):
                forests.append(places.put(study.name, figure, f"{key}-verdicts"))
            elif figure.name not in wanted:
                more.append(places.put(study.name, figure, f"{key}-more"))
    missing = tuple(item for item in asked if not item.drawn)
    return Section(key, QUESTIONS[key], sentences, tuple(forests), items, tuple(more), missing)


def _placed(covered: CoveredItem, places: _Places) -> PlacedItem:
    figures = tuple(places.put(source, figure, covered.item.id) for source, figure in covered.figures)
    return PlacedItem(covered, figures, places.first(f"item {covered.item.id}", covered.item.id))


def html(page: Page) -> str:
    """Return the page: figures stand in it as SVG, nothing is loaded, no script."""
    return render_page(
        "full_page.html",
        document=page,
        questions=QUESTIONS,
        overview=[table_content(table) for table in page.overview],
        sections=[_section_content(section) for section in page.sections],
        studies=[_study_content(study) for study in page.studies],
    )


def _section_content(section: Section) -> dict[str, Any]:
    return {
        "key": section.key,
        "question": section.question,
        "said": [(study.key, study.name, lines) for study, lines in section.sentences],
        "forests": [_figure_content(figure) for figure in section.forests],
        "items": [_item_content(item) for item in section.items],
        "more": [_figure_content(figure) for figure in section.more],
        "missing": section.missing,
    }


def _item_content(placed: PlacedItem) -> dict[str, Any]:
    tables = placed.covered.tables
    return {
        "item": placed.covered.item,
        "pictures": [_figure_content(figure) for figure in placed.figures],
        "tables": [] if placed.first else [table_content(table) for table in tables],
        "first": placed.first,
        "elsewhere": bool(placed.first and tables),
    }


def _figure_content(placed: PlacedFigure) -> dict[str, Any]:
    figure = placed.figure
    return {
        "source": placed.source,
        "name": figure.name,
        "caption": figure.caption,
        "wide": figure.wide,
        "first": placed.first,
        "svg": "" if placed.first else Markup(figure.svg),
    }


def _study_content(study: RecordedStudy) -> dict[str, Any]:
    verdicts = study.verdicts
    content, control = study_page.facts(verdicts, study.shared), verdicts.control
    return {
        "key": study.key,
        "name": study.name,
        "question": content["question"],
        "facts": content["facts"],
        "alarm": control.sentence if control is not None and control.alarm else "",
        "control": control.sentence if control is not None else "No A/A arm was run.",
        "incomplete": "" if verdicts.results.complete else content["progress"],
        "warnings": verdicts.warnings,
        "tables": [table_content(table) for table in study.tables],
    }


def markdown(page: Page) -> str:
    """Return the same page for a repository or a notebook; figures are linked."""
    lines = [f"# {text(page.title)}", ""]
    if page.overview and not page.sections:
        lines += [f"- [{question.title}]({question.slug}.md)" for question in QUESTIONS.values()]
    if page.warnings:
        lines += ["", "## Warnings", "", *(f"- {text(warning)}" for warning in page.warnings)]
    for table in page.overview:
        lines += ["", f"## {text(table.name)}", "", text(table.caption), "", table.markdown().rstrip()]
    for section in page.sections:
        lines += ["", *_section_lines(section)]
    for study in page.studies:
        lines += ["", f"## Study {text(study.name)}", ""]
        for table in study.tables:
            lines += [f"### {text(table.name)}", "", text(table.caption), "", table.markdown()]
    return "\n".join(lines).rstrip() + "\n"


def _section_lines(section: Section) -> Iterator[str]:
    question = section.question
    yield from (f"## {question.title}", "", question.asks)
    for study, sentences in section.sentences:
        yield from ("", f"**{text(study.name)}**", "", *(f"- {text(sentence)}" for sentence in sentences))
    yield from ("", "May be claimed:", "", *(f"- {text(claim)}" for claim in question.may))
    yield from ("", "May not be claimed:", "", *(f"- {text(claim)}" for claim in question.may_not))
    yield from _links(section.forests)
    for placed in section.items:
        item = placed.covered.item
        lacks = f" Left out: {item.lacks}; it takes: {item.fill}." if item.lacks else ""
        quoted = text(f"To be quoted for: {item.claim}.{lacks}")
        yield from ("", f"### {item.id} {item.title}", "", quoted)
        yield from _links(placed.figures)
        if placed.first and placed.covered.tables:
            yield from ("", f"Its table stands above, under {placed.first}.")
        for table in () if placed.first else placed.covered.tables:
            yield from ("", text(table.caption), "", table.markdown().rstrip())
    if section.more:
        yield from ("", "### More from these studies", *_links(section.more))
    if section.missing:
        yield from ("", "### Not drawn", "")
        yield from (
            f"- {lost.item.id} {lost.item.title} needs: {text(lost.needs)}" for lost in section.missing
        )


def _links(figures: Sequence[PlacedFigure]) -> Iterator[str]:
    for placed in figures:
        name = placed.figure.name
        if placed.first:
            yield from ("", f"`{name}` stands above, under {placed.first}.")
        else:
            caption = text(f"{placed.source}: {placed.figure.caption}")
            yield from ("", f"![{name}](figures/{name}.svg)", "", caption)
