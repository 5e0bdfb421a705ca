"""Report -> one self-contained page: no script, nothing loaded, every string escaped."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fairtrial.reporting.figures.figure_files import MADE_BY, RenderedFigure
from fairtrial.reporting.results.replication_units import ReplicationUnit
from fairtrial.reporting.results.shared_runs import TERM, Shared, words
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.tables.table import markdown_text as text
from fairtrial.reporting.verdicts.captions import commits, failures, preset, units, upstream_images
from fairtrial.reporting.verdicts.sentences import grounds
from fairtrial.reporting.wording import clean, plural

if TYPE_CHECKING:
    from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts
    from fairtrial.study.study import Study


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
    cards = [
        {
            "name": clean(finding.contrast.name),
            "verdict": finding.verdict,
            "word": finding.verdict.replace("_", " "),
            "sentence": sentence,
            "grounds": _capital(grounds(finding)),
            "warnings": [_capital(clean(warning)) for warning in finding.warnings],
            "confirmatory": finding.verdict != "refused" and "exploratory" not in finding.stamps,
        }
        for finding, sentence in zip(verdicts.findings, verdicts.sentences, strict=True)
    ]
    return {
        "question": clean(study.question),
        "name": clean(study.name),
        "complete": results.sound,
        "progress": results.unsound,
        "facts": about,
        "cards": cards,
        "aa": verdicts.control,
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
) -> str:
    """Return the page; figures stand in it as SVG."""
    return render_page(
        "study_page.html",
        **content,
        figures=[
            {"name": f.name, "caption": f.full_caption, "wide": f.wide, "svg": Markup(f.svg)} for f in figures
        ],
        tables=[table_content(table) for table in tables],
        warnings=warnings,
        made=MADE_BY,
    )


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
    if (control := content["aa"]) is not None:
        lines += [f"**{text(control.sentence)}**" if control.alarm else text(control.sentence), ""]
    if not content["complete"]:
        lines += [f"**{text(content['progress'])}**", ""]
    lines += [f"- **{text(card['word'])}**: {text(card['sentence'])}" for card in content["cards"]]
    lines += ["", *(f"- {name}: {text(value)}" for name, value in content["facts"])]
    for number, figure in enumerate(figures, 1):
        caption = text(f"Figure {number}: {figure.full_caption}")
        lines += ["", f"![{figure.name}](figures/{figure.name}.svg)", "", caption]
    for table in tables:
        lines += ["", f"## {text(table.name)}", "", text(table.caption), "", table.markdown().rstrip()]
    if warnings:
        lines += ["", "## Warnings", "", *(f"- {text(warning)}" for warning in warnings)]
    return "\n".join(lines) + "\n"
