"""One page of the whole report as HTML and as Markdown; every string of a record stays text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fairtrial.reporting.report import study_page
from fairtrial.reporting.report.page_content import Document, Item, Picture, Section
from fairtrial.reporting.report.questions import QUESTIONS
from fairtrial.reporting.report.recorded_studies import Recorded
from fairtrial.reporting.tables.table import Table, markdown_text


def html(document: Document) -> str:
    """The page: figures stand in it as SVG, nothing is loaded, no script."""
    env = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    told = {
        "document": document,
        "questions": QUESTIONS,
        "overview": [_table(each) for each in document.overview],
        "sections": [_section(each) for each in document.sections],
        "studies": [_study(each) for each in document.studies],
    }
    return env.get_template("full_page.html").render(**told) + "\n"


def _section(section: Section) -> dict[str, Any]:
    return {
        "key": section.key,
        "question": section.question,
        "said": [(study.key, study.name, texts) for study, texts in section.said],
        "forests": [_picture(each) for each in section.forests],
        "items": [_item(each) for each in section.items],
        "more": [_picture(each) for each in section.more],
        "missing": section.missing,
    }


def _item(item: Item) -> dict[str, Any]:
    return {
        "id": item.shown.id,
        "wanted": item.shown.wanted,
        "pictures": [_picture(each) for each in item.pictures],
        "tables": [] if item.first else [_table(each) for each in item.tables],
        "first": item.first,
        "elsewhere": bool(item.first and item.tables),
    }


def _picture(picture: Picture) -> dict[str, Any]:
    drawn = picture.drawn
    return {
        "source": picture.source,
        "name": drawn.name,
        "caption": drawn.caption,
        "wide": drawn.wide,
        "first": picture.first,
        "svg": "" if picture.first else Markup(drawn.svg),
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "caption": table.caption,
        "columns": [(column, column in table.marked) for column in table.frame.columns],
        "rows": table.frame.astype(str).values.tolist(),
    }


def _study(study: Recorded) -> dict[str, Any]:
    seen = study.seen
    told = study_page.facts(seen.results, seen.findings, seen.said, seen.control)
    return {
        "key": study.key,
        "name": study.name,
        "question": told["question"],
        "facts": told["facts"],
        "alarm": seen.control.sentence if seen.control is not None and seen.control.alarm else "",
        "control": seen.control.sentence if seen.control is not None else "No A/A arm was run.",
        "incomplete": "" if seen.results.complete else told["progress"],
        "warnings": seen.warnings,
        "tables": [_table(each) for each in study.tables],
    }


def markdown(document: Document) -> str:
    """The same page for a repository or a notebook; figures are linked."""
    lines = [f"# {_text(document.title)}", ""]
    if document.overview and not document.sections:
        lines += [f"- [{question.title}]({question.slug}.md)" for question in QUESTIONS.values()]
    if document.warnings:
        lines += ["", "## Warnings", "", *(f"- {_text(each)}" for each in document.warnings)]
    for table in document.overview:
        lines += ["", f"## {_text(table.name)}", "", _text(table.caption), "", table.markdown().rstrip()]
    for section in document.sections:
        lines += ["", *_asked(section)]
    for study in document.studies:
        lines += ["", f"## Study {_text(study.name)}", ""]
        for table in study.tables:
            lines += [f"### {_text(table.name)}", "", _text(table.caption), "", table.markdown()]
    return "\n".join(lines).rstrip() + "\n"


def _asked(section: Section) -> Iterator[str]:
    question = section.question
    yield from (f"## {question.title}", "", question.asks)
    for study, texts in section.said:
        yield from ("", f"**{_text(study.name)}**", "", *(f"- {_text(each)}" for each in texts))
    yield from ("", "May be claimed:", "", *(f"- {_text(each)}" for each in question.may))
    yield from ("", "May not be claimed:", "", *(f"- {_text(each)}" for each in question.may_not))
    yield from _linked(section.forests)
    for item in section.items:
        yield from ("", f"### {item.shown.id} {item.shown.wanted.title}", "", _quoted(item))
        yield from _linked(item.pictures)
        if item.first and item.tables:
            yield from ("", f"Its table stands above, under {item.first}.")
        for table in () if item.first else item.tables:
            yield from ("", _text(table.caption), "", table.markdown().rstrip())
    if section.more:
        yield from ("", "### More from these studies", *_linked(section.more))
    if section.missing:
        yield from ("", "### Not drawn", "")
        yield from (f"- {each.id} {each.wanted.title} needs: {_text(each.needs)}" for each in section.missing)


def _quoted(item: Item) -> str:
    wanted = item.shown.wanted
    lacks = f" Left out: {wanted.lacks}; it takes: {wanted.fill}." if wanted.lacks else ""
    return _text(f"To be quoted for: {wanted.claim}.{lacks}")


def _linked(pictures: Sequence[Picture]) -> Iterator[str]:
    for each in pictures:
        name = each.drawn.name
        if each.first:
            yield from ("", f"`{name}` stands above, under {each.first}.")
        else:
            yield from (
                "",
                f"![{name}](figures/{name}.svg)",
                "",
                _text(f"{each.source}: {each.drawn.caption}"),
            )


def _text(text: str) -> str:
    return markdown_text(text)
