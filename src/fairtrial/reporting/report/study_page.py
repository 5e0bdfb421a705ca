"""The report of one study as one self-contained page: no script, nothing loaded, every string escaped.

First the answer and the figure that shows it, then the verdicts, then everything else in folds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from fairtrial.reporting.figures.figure_files import MADE_BY, RenderedFigure
from fairtrial.reporting.report import answers
from fairtrial.reporting.report.page_model import TERMS, split_caption, title_of, without_provenance
from fairtrial.reporting.report.page_templates import render_page, table_content
from fairtrial.reporting.results.shared_runs import Shared
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.tables.table import markdown_text as text
from fairtrial.reporting.verdicts.aa_check import absence
from fairtrial.reporting.verdicts.captions import provenance, study_facts
from fairtrial.reporting.verdicts.sentences import grounds
from fairtrial.reporting.wording import capital, clean
from fairtrial.study.factors import spaced

if TYPE_CHECKING:
    from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts

_MOST_CARDS: Final = 12  # verdicts on the page; further ones are in a fold
_IN_PROVENANCE: Final = ("study", "preset", "budget", "code")
_UNASKED: Final = "This study declares no contrast, so it has no verdict."


def facts(verdicts: StudyVerdicts, shared: Shared) -> dict[str, Any]:
    """Return what both the HTML and the Markdown page say. shared: runs that another study has too."""
    results, study = verdicts.results, verdicts.results.study
    said = answers.said_of(verdicts, answers.Source(clean(study.name), clean(study.name)))
    return {
        "question": clean(study.question),
        "answer": answers.answer(said, own=True) or (_UNASKED,),
        "provenance": provenance(results),
        "name": clean(study.name),
        "complete": results.sound,
        "progress": results.unsound,
        "run": [fact for fact in study_facts(results, shared) if fact[0] not in _IN_PROVENANCE],
        "cards": [_card(one) for one in said],
        "aa": verdicts.control,
        "no_aa": absence(study),
    }


def _card(said: answers.Said) -> dict[str, Any]:
    finding = said.finding
    return {
        "name": clean(finding.contrast.name),
        "verdict": finding.verdict,
        "word": spaced(finding.verdict),
        "plain": answers.plain(finding),
        "sentence": said.sentence,
        "grounds": "" if finding.verdict == "refused" else capital(grounds(finding)),
        "warnings": [capital(clean(warning)) for warning in finding.warnings],
        "confirmatory": finding.verdict != "refused" and "exploratory" not in finding.stamps,
    }


def html(
    content: dict[str, Any],
    figures: Sequence[RenderedFigure],
    tables: Sequence[Table],
    warnings: Sequence[str],
    *,
    key: str = "",
) -> str:
    """Return the page; figures stand in it as SVG. key: of the study within a report over all of them."""
    drawn = [
        {**about, "wide": figure.wide, "svg": Markup(figure.svg)}
        for figure, about in zip(figures, _figures(figures, key), strict=True)
    ]
    cards = content["cards"]
    return render_page(
        "study_page.html",
        **content | {"cards": cards[:_MOST_CARDS]},
        more_cards=cards[_MOST_CARDS:],
        main=drawn[:1],
        figures=drawn[1:],
        tables=[table_content(table) | _told(content, table) for table in tables],
        warnings=warnings,
        terms=TERMS,
        made=MADE_BY,
        whole=bool(key),
    )


def _figures(figures: Sequence[RenderedFigure], key: str = "") -> list[dict[str, Any]]:
    """Return what is said of each figure: number, title, caption, notes; verdicts: whether it shows them."""
    told = []
    for number, figure in enumerate(figures, 1):
        caption, notes = split_caption(figure.caption)
        name = figure.name.removeprefix(f"{key}-")
        about = {"title": title_of(name), "caption": caption, "notes": notes}
        told.append({"number": number, **about, "verdicts": name.startswith("contrasts")})
    return told


def _told(content: dict[str, Any], table: Table) -> dict[str, str]:
    return {
        "title": title_of(table.name),
        "caption": without_provenance(table.caption, content["provenance"]),
    }


def markdown(
    content: dict[str, Any],
    figures: Sequence[RenderedFigure],
    tables: Sequence[Table],
    warnings: Sequence[str],
) -> str:
    """Return the same page for a repository or a notebook; figures are linked."""
    lines = [f"# {text(content['question'])}", ""]
    if (control := content["aa"]) is not None and control.alarm:
        lines += [f"**{text(control.sentence)}**", ""]
    if not content["complete"]:
        lines += [f"**{text(content['progress'])}**", ""]
    lines += [f"- {text(said)}" for said in content["answer"]]
    drawn = list(zip(figures, _figures(figures), strict=True))
    lines += [
        *_drawn(drawn[:1]),
        "",
        text(f"Study {content['name']}. {content['provenance']}"),
        "",
        "## Verdicts",
        "",
    ]
    for card in content["cards"]:
        lines += [f"- **{text(card['word'])}**: {text(card['plain'])}", f"  - {text(card['sentence'])}"]
    if control is None or not control.alarm:
        lines += ["", text(content["no_aa"] if control is None else control.sentence)]
    lines += ["", "## What was run", "", *(f"- {name}: {text(value)}" for name, value in content["run"])]
    if drawn[1:]:
        lines += ["", "## Further figures", *_drawn(drawn[1:])]
    for table in tables:
        told = _told(content, table)
        lines += ["", f"## {text(told['title'])}", "", text(told["caption"]), "", table.markdown().rstrip()]
    if warnings:
        lines += ["", "## Warnings", "", *(f"- {text(warning)}" for warning in warnings)]
    lines += ["", "## Terms used here", "", *(f"- {text(term)}: {text(means)}" for term, means in TERMS)]
    return "\n".join(lines) + "\n"


def _drawn(figures: Sequence[tuple[RenderedFigure, dict[str, Any]]]) -> Iterator[str]:
    for figure, told in figures:
        caption = f"Figure {told['number']}: {told['title']}. {told['caption']}"
        yield from ("", f"![{figure.name}](figures/{figure.name}.svg)", "", text(caption))
        if told["notes"]:
            yield from ("", f"How to read figure {told['number']}: {text(told['notes'])}")
