"""The report of one study as one self-contained page: no script, nothing loaded, every string escaped.

First the answer and the figure that shows it, then the verdicts, then everything else in folds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fairtrial.reporting.figures.figure_files import MADE_BY, RenderedFigure
from fairtrial.reporting.report import answers
from fairtrial.reporting.report.page_model import TERMS, split_caption, title_of, without_provenance
from fairtrial.reporting.report.recorded_studies import RecordedStudy
from fairtrial.reporting.results.replication_units import ReplicationUnit
from fairtrial.reporting.results.shared_runs import TERM, Shared, words
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.tables.table import markdown_text as text
from fairtrial.reporting.verdicts.captions import (
    commits,
    failures,
    preset,
    provenance,
    units,
    upstream_images,
)
from fairtrial.reporting.verdicts.sentences import grounds
from fairtrial.reporting.wording import clean, plural

if TYPE_CHECKING:
    from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts
    from fairtrial.study.study import Study

_MOST_CARDS: Final = 12  # verdicts on the page; further ones are in a fold
_IN_PROVENANCE: Final = ("study", "preset", "budget", "code", "failed")
_UNASKED: Final = "This study declares no contrast, so it has no verdict."


def facts(verdicts: StudyVerdicts, shared: Shared) -> dict[str, Any]:
    """Return what both the HTML and the Markdown page say. shared: runs that another study has too."""
    results, study = verdicts.results, verdicts.results.study
    arms = plural(len(study.arms()), "arm") + (" and the A/A arm" if study.aa else "")
    about = [
        ("study", f"{clean(study.name)}, hash {results.hash}"),
        ("preset", preset(study, upstream_images(results)).removeprefix("preset ")),
        ("budget", f"{study.budget.words} per run"),
        ("runs", f"{results.progress}: {plural(len(results.seeds), 'seed')} crossed with {arms}"),
        *(
            ("n counts", f"{unit.describe(unit.seeds)}{arms}")
            for unit, arms in units(results)
            if _split(unit)
        ),
        *((("stopping", study.rule.words),) if study.rule else ()),
        ("code", commits(results)),
        ("failed", failures(results) or "no run failed"),
        ("tuning", f"{plural(results.trial_runs, 'trial run')} recorded: {_tuned(study)}"),
        ("pilots", clean(results.pilots) or "none named"),
        *(((TERM, words(shared)),) if shared else ()),
    ]
    said = answers.said_of(RecordedStudy(clean(study.name), clean(study.name), verdicts, ()))
    return {
        "question": clean(study.question),
        "answer": answers.answer(said, own=True) or (_UNASKED,),
        "provenance": provenance(results),
        "name": clean(study.name),
        "complete": results.sound,
        "progress": results.unsound,
        "facts": about,
        "run": [(name, value) for name, value in about if name not in _IN_PROVENANCE],
        "cards": [_card(one) for one in said],
        "aa": verdicts.control,
    }


def _card(said: answers.Said) -> dict[str, Any]:
    finding = said.finding
    return {
        "name": clean(finding.contrast.name),
        "verdict": finding.verdict,
        "word": finding.verdict.replace("_", " "),
        "plain": answers.plain(finding),
        "sentence": said.sentence,
        "grounds": "" if finding.verdict == "refused" else _capital(grounds(finding)),
        "warnings": [_capital(clean(warning)) for warning in finding.warnings],
        "confirmatory": finding.verdict != "refused" and "exploratory" not in finding.stamps,
    }


def _tuned(study: Study) -> str:
    return "one rule for all arms" if study.tuning is None else study.tuning.words


def _split(unit: ReplicationUnit) -> bool:
    """Whether seeds alone would not say what n counts."""
    return unit.checkpoints is not None or unit.groups is not None


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


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
    """Return the number, title, caption and notes of each figure; where it comes from the page says once."""
    told = []
    for number, figure in enumerate(figures, 1):
        caption, notes = split_caption(figure.caption)
        title = title_of(figure.name.removeprefix(f"{key}-"))
        told.append({"number": number, "title": title, "caption": caption, "notes": notes})
    return told


def _told(content: dict[str, Any], table: Table) -> dict[str, str]:
    return {
        "title": title_of(table.name),
        "caption": without_provenance(table.caption, content["provenance"]),
    }


def render_page(template: str, **content: Any) -> str:
    """Fill a template; every string in it is escaped."""
    return _environment().get_template(template).render(**content) + "\n"


@cache
def _environment() -> Environment:
    """Templates, each compiled once: that takes longer than to fill it."""
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def table_content(table: Table) -> dict[str, Any]:
    """Return a table as templates read it; columns are (name, whether a reader must not miss it)."""
    return {
        "name": table.name,
        "caption": table.caption,
        "columns": [(column, column in table.marked) for column in table.frame.columns],
        "rows": table.frame.astype(str).values.tolist(),
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
    if control is not None and not control.alarm:
        lines += ["", text(control.sentence)]
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
