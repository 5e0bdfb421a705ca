"""All recorded studies -> the pages of the report as plain data, one for each question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from fairtrial.reporting.report import answers
from fairtrial.reporting.report.answers import Said
from fairtrial.reporting.report.contrast_tables import ICONS, primary_contrasts, verdict_key
from fairtrial.reporting.report.page_model import (
    Evidence,
    LinkedFigure,
    NumberedFigure,
    NumberedTable,
    QuestionPage,
    split_caption,
)
from fairtrial.reporting.report.questions import QUESTIONS, SHORT
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.verdicts.captions import provenance
from fairtrial.reporting.verdicts.sentences import title
from fairtrial.reporting.wording import clean, data_title, p_value
from fairtrial.study.factors import spaced

if TYPE_CHECKING:
    from fairtrial.reporting.figures.figure_files import RenderedFigure
    from fairtrial.reporting.report.missing_items import CoveredItem, Drawings
    from fairtrial.reporting.report.recorded_studies import RecordedStudy

_EVIDENCE = "Evidence: every primary contrast on this question"
_LEVELS = (
    "Each interval is at the level that Holm's correction asks of its contrast; "
    "interval and p of an equivalence are those of its own two tests."
)
_EVIDENCE_PLAIN = (
    "Each row was declared before its runs; what decides stands first, real images before digits."
)


def question_pages(
    studies: Sequence[RecordedStudy],
    drawings: Mapping[str, Drawings],
    covered: Sequence[CoveredItem],
    on_page: Mapping[str, Sequence[tuple[str, str]]],
) -> list[QuestionPage]:
    """Return the page of each question; figures and tables are numbered from 1 on each.

    on_page: question -> (id of an item that its page draws, plain sentence), the one that answers first.
    """
    return [_page(key, studies, drawings, covered, on_page[key]) for key in QUESTIONS]


def _page(
    key: str,
    studies: Sequence[RecordedStudy],
    drawings: Mapping[str, Drawings],
    covered: Sequence[CoveredItem],
    on_page: Sequence[tuple[str, str]],
) -> QuestionPage:
    question = QUESTIONS[key]
    said = answers.in_order(
        [
            one
            for study in studies
            for one in answers.said_of(study.verdicts, answers.Source(study.key, study.name), question)
        ]
    )
    order = list(dict.fromkeys(one.study.key for one in said))
    items = {item.item.id: item for item in covered}
    figures = _figures(on_page, items, order)
    taken = {one.figure.name for one in figures}
    asked = [item for item in covered if key in item.item.questions]
    rest = [item for item in asked if item.figures or item.item.id not in dict(on_page)]
    tables = _tables(on_page, items)
    evidence = _evidence(said, len(tables) + 1)
    keys = {study.key for study in studies if any(one.source == study.name for one in figures)} | set(order)
    quoted = sorted((study for study in studies if study.key in keys), key=lambda study: not study.real)
    return QuestionPage(
        key=key,
        slug=question.slug,
        title=question.title,
        asks=question.asks,
        answer=answers.answer(said) or (_unanswered(asked),),
        main=figures[0] if figures else None,
        explaining=tuple(figures[1:]),
        tables=tuple(tables),
        evidence=evidence,
        may=question.may,
        may_not=(*question.may_not, SHORT),
        more=tuple(_links(asked, order, drawings, taken)),
        more_tables=(
            *([primary_contrasts([study for study in quoted if study.key in order])] if order else []),
            *(table for item in rest for table in item.tables),
        ),
        missing=tuple((i.item.id, i.item.title, i.needs) for i in asked if not i.drawn),
        sources=tuple((study.key, study.name, provenance(study.verdicts.results)) for study in quoted),
        alarms=tuple(text for study in quoted for text in study.alarms),
        warnings=tuple(text for study in quoted for text in study.warnings),
    )


def _unanswered(asked: Sequence[CoveredItem]) -> str:
    drawn = [item.item.title for item in asked if item.drawn]
    text = "No recorded study declares a contrast on this question, so it has no verdict"
    return f"{text}; what can be counted is shown: {', '.join(drawn)}." if drawn else f"{text}."


def _figures(
    on_page: Sequence[tuple[str, str]], items: Mapping[str, CoveredItem], order: Sequence[str]
) -> list[NumberedFigure]:
    """Return the figures of a page: of each item the drawing of the study whose evidence stands first."""
    placed: list[NumberedFigure] = []
    for item_id, plain in on_page:
        item = items[item_id]
        drawings = [one for one in item.figures if one[1].name not in {each.figure.name for each in placed}]
        if not drawings:
            continue
        source, figure = min(drawings, key=lambda pair: _rank(pair[1], order))
        caption, notes = split_caption(figure.caption)
        placed.append(NumberedFigure(len(placed) + 1, item.item.title, plain, source, caption, notes, figure))
    return placed


def _rank(figure: RenderedFigure, order: Sequence[str]) -> int:
    """Return the place of the study that a figure was drawn from; the longest key that fits is its own."""
    own = max((key for key in order if figure.name.startswith(f"{key}-")), key=len, default="")
    return order.index(own) if own else len(order)


def _tables(on_page: Sequence[tuple[str, str]], items: Mapping[str, CoveredItem]) -> list[NumberedTable]:
    placed: list[NumberedTable] = []
    for item_id, plain in on_page:
        for table in () if items[item_id].figures else items[item_id].tables:
            placed.append(NumberedTable(len(placed) + 1, items[item_id].item.title, plain, table))
    return placed


def _evidence(said: Sequence[Said], number: int) -> Evidence:
    """Return a row per primary contrast, the deciding ones first; the secondary ones apart."""
    said = sorted(said, key=lambda one: not one.real)
    first = sorted((one for one in said if one.primary), key=lambda one: not one.decides)
    primary, secondary = _table(first), _table([one for one in said if not one.primary])
    sentences = tuple((one.plain, one.sentence, one.study.name) for one in said)
    table = None if primary is None else NumberedTable(number, _EVIDENCE, _EVIDENCE_PLAIN, primary)
    return Evidence(table, sentences, secondary, sum(one.decides for one in first))


def _table(said: Sequence[Said]) -> Table | None:
    rows = [_row(one) for one in said]
    caption = f"{verdict_key()} {_LEVELS}"
    return Table("evidence", caption, pd.DataFrame(rows), marked=("verdict",)) if rows else None


def _row(one: Said) -> dict[str, str]:
    finding, decided = one.finding, one.finding.decided_by
    gap = ""
    if finding.interval is not None and decided is not None:
        limits = finding.scale.decided(decided.low, decided.high, finding.margin)
        gap = f"{finding.scale.show(finding.interval.estimate)} {limits}"
    return {
        "verdict": f"{ICONS[finding.verdict]} {spaced(finding.verdict)}",
        "compared": f"{title(finding.contrast)}" if not finding.contrast.by else clean(finding.contrast.name),
        "study": one.study.key,
        "data": data_title(one.data),
        "difference": gap,
        "n": str(finding.n),
        "Holm p": "" if decided is None else p_value(decided.p).removeprefix("p = ").removeprefix("p "),
    }


def _links(
    asked: Sequence[CoveredItem],
    order: Sequence[str],
    drawings: Mapping[str, Drawings],
    taken: set[str],
) -> Iterable[LinkedFigure]:
    """Yield what the page does not draw: other drawings of its items, then the rest of its studies."""
    seen = set(taken)
    named = [(f, item.item.title, source) for item in asked for source, f in item.figures]
    rest = [(f, drawings[key].short_name(f), key) for key in order for f in drawings[key].figures]
    for figure, text, source in (*named, *rest):
        if figure.name not in seen:
            seen.add(figure.name)
            yield LinkedFigure(figure.name, text, source)
