"""The pages of the report over all studies, as HTML and as Markdown, set from their model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from fairtrial.reporting.report.page_model import TERMS
from fairtrial.reporting.report.page_templates import render_page, table_content
from fairtrial.reporting.report.questions import QUESTIONS
from fairtrial.reporting.tables.table import markdown_text as text

if TYPE_CHECKING:
    from fairtrial.reporting.report.page_model import Evidence, NumberedFigure, NumberedTable, QuestionPage
    from fairtrial.reporting.tables.table import Table

TITLE: Final = "Big Transfer: what the recorded trials say"


@dataclass(frozen=True, eq=False)
class Index:
    """The page before the questions: tables over everything, and what a reader must know first."""

    tables: Sequence[Table]
    alarms: tuple[str, ...]
    warnings: tuple[str, ...]


def index_html(index: Index, pages: Sequence[QuestionPage]) -> str:
    """Return the index: the answer of each question, then the tables over all of them."""
    tables = [table_content(table) for table in index.tables]
    return _render("index", TITLE, [], index.alarms, pages=pages, tables=tables)


def html(page: QuestionPage) -> str:
    """Return the page of one question: figures stand in it as SVG, nothing is loaded, no script."""
    return _render(page.slug, page.title, [_content(page, {})], page.alarms)


def whole_html(pages: Sequence[QuestionPage], alarms: Sequence[str]) -> str:
    """Return all questions on one page; what a question before it draws is pointed to."""
    places: dict[str, str] = {}
    return _render("report", TITLE, [_content(page, places) for page in pages], alarms)


def _render(name: str, title: str, sections: Sequence[Any], alarms: Sequence[str], **more: Any) -> str:
    return render_page(
        "full_page.html",
        **{"pages": [], "tables": []} | more,
        name=name,
        title=title,
        sections=sections,
        alarms=alarms,
        questions=QUESTIONS,
        terms=TERMS,
    )


def _content(page: QuestionPage, places: dict[str, str]) -> dict[str, Any]:
    """Return a page as the template reads it. places: of what the document has already drawn."""
    drawn = [_figure(page, figure, places) for figure in _figures(page)]
    evidence = page.evidence
    decides, rest = _split(evidence)
    return {
        "page": page,
        "main": drawn[0] if drawn else None,
        "explaining": drawn[1:],
        "tables": [_table(page, table, places) for table in page.tables],
        "evidence": None if decides is None else _table(page, decides, {}),
        "rest": None if rest is None else table_content(rest),
        "secondary": None if evidence.secondary is None else table_content(evidence.secondary),
        "more_tables": [table_content(table) for table in page.more_tables],
    }


def _split(evidence: Evidence) -> tuple[NumberedTable | None, Table | None]:
    """Return the rows on the page, and those in a fold: what does not decide, where something does."""
    whole, rows = evidence.table, evidence.deciding
    if whole is None or not 0 < rows < len(whole.table.frame):
        return whole, None
    frame = whole.table.frame
    first, rest = (replace(whole.table, frame=part) for part in (frame[:rows], frame[rows:]))
    return replace(whole, table=first), rest


def _figures(page: QuestionPage) -> list[NumberedFigure]:
    return [*([page.main] if page.main else []), *page.explaining]


def _figure(page: QuestionPage, figure: NumberedFigure, places: dict[str, str]) -> dict[str, Any]:
    place = f"{page.key}-figure-{figure.number}"
    first = places.setdefault(figure.figure.name, place)
    svg = "" if first != place else Markup(figure.figure.svg)
    return {"shown": figure, "id": place, "first": "" if first == place else first, "svg": svg}


def _table(page: QuestionPage, table: NumberedTable, places: dict[str, str]) -> dict[str, Any]:
    place = f"{page.key}-table-{table.number}"
    first = places.setdefault(table.table.name, place)
    content = table_content(table.table)
    return {"shown": table, "id": place, "first": "" if first == place else first, "content": content}


def index_markdown(index: Index, pages: Sequence[QuestionPage]) -> str:
    """Return the index for a repository or a notebook."""
    lines = [f"# {TITLE}"]
    for page in pages:
        lines += ["", f"## [{page.title}]({page.slug}.md)", "", *(f"- {text(line)}" for line in page.answer)]
    if index.warnings:
        lines += ["", "## Warnings", "", *(f"- {text(warning)}" for warning in index.warnings)]
    for table in index.tables:
        lines += ["", f"## {text(table.name)}", "", text(table.caption), "", table.markdown().rstrip()]
    return "\n".join(lines) + "\n"


def markdown(*pages: QuestionPage) -> str:
    """Return one page or several for a repository or a notebook; figures are linked."""
    head = [f"# {TITLE}", ""] if len(pages) > 1 else []
    return "\n".join([*head, *(line for page in pages for line in _lines(page))]).rstrip() + "\n"


def _lines(page: QuestionPage) -> Iterator[str]:
    yield from (
        f"# {text(page.title)}",
        "",
        text(page.asks),
        "",
        *(f"- {text(said)}" for said in page.answer),
    )
    for figure in _figures(page):
        caption = text(f"Figure {figure.number}. {figure.title}. {figure.source}: {figure.figure.caption}")
        name = figure.figure.name
        yield from ("", text(figure.plain), "", f"![{name}](figures/{name}.svg)", "", caption)
    evidence = [page.evidence.table] if page.evidence.table else []
    for table in (*page.tables, *evidence):
        yield from ("", f"**Table {table.number}. {text(table.title)}.** {text(table.plain)}", "")
        yield from (text(table.table.caption), "", table.table.markdown().rstrip())
    yield from ("", "May be claimed:", "", *(f"- {text(claim)}" for claim in page.may))
    yield from ("", "May not be claimed:", "", *(f"- {text(claim)}" for claim in page.may_not))
    if page.evidence.sentences:
        yield from ("", "## The sentences", "")
        for plain, sentence, study in page.evidence.sentences:
            yield f"- {text(plain)} {text(study)}: {text(sentence)}"
    for heading, lines in _appendix(page):
        if lines:
            yield from ("", f"## {heading}", "", *(f"- {line}" for line in lines))
    for more in page.more_tables:
        yield from ("", text(more.caption), "", more.markdown().rstrip())
    yield ""


def _appendix(page: QuestionPage) -> Iterator[tuple[str, list[str]]]:
    """Yield what a page holds at its end: (heading, a line each)."""
    yield (
        "Further figures",
        [f"[{one.name}](figures/{one.name}.svg): {text(one.title)}, {text(one.source)}" for one in page.more],
    )
    yield "Not drawn", [f"{key} {text(title)} needs: {text(needs)}" for key, title, needs in page.missing]
    yield "Where the numbers come from", [f"{text(name)}: {text(line)}" for _, name, line in page.sources]
    yield "Warnings", [text(warning) for warning in page.warnings]
