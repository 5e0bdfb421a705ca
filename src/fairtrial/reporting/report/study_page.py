"""Report -> one self-contained page: no script, nothing loaded, every string escaped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fairtrial.reporting.figures.figure_files import MADE, Drawn
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.results.replication_units import ReplicationUnit
from fairtrial.reporting.tables.table import Table, markdown_text
from fairtrial.reporting.verdicts.aa_check import AACheck
from fairtrial.reporting.verdicts.captions import commits, failures, preset, units, upstream_images
from fairtrial.reporting.verdicts.findings import Finding
from fairtrial.reporting.verdicts.sentences import grounds
from fairtrial.reporting.wording import clean, plural


def facts(
    results: Results, findings: Sequence[Finding], said: Sequence[str], aa: AACheck | None
) -> dict[str, Any]:
    """What both the HTML and the Markdown page say."""
    study = results.study
    arms = plural(len(study.arms()), "arm") + (" and the A/A arm" if study.aa else "")
    told = [
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
        for finding, sentence in zip(findings, said, strict=True)
    ]
    return {
        "question": clean(study.question),
        "name": clean(study.name),
        "complete": results.sound,
        "progress": results.unsound,
        "facts": told,
        "cards": cards,
        "aa": aa,
    }


def _split(unit: ReplicationUnit) -> bool:
    """Whether seeds alone would not say what n counts."""
    return unit.checkpoints is not None or unit.groups is not None


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def html(
    told: dict[str, Any], figures: Sequence[Drawn], tables: Sequence[Table], warnings: Sequence[str]
) -> str:
    """The page; figures stand in it as SVG."""
    env = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    drawn = [{"name": f.name, "caption": f.caption, "wide": f.wide, "svg": Markup(f.svg)} for f in figures]
    shown = [
        {
            "name": table.name,
            "caption": table.caption,
            "columns": [(column, column in table.marked) for column in table.frame.columns],
            "rows": table.frame.astype(str).values.tolist(),
        }
        for table in tables
    ]
    given = {**told, "figures": drawn, "tables": shown, "warnings": warnings, "made": MADE}
    return env.get_template("study_page.html").render(**given) + "\n"


def markdown(
    told: dict[str, Any], figures: Sequence[Drawn], tables: Sequence[Table], warnings: Sequence[str]
) -> str:
    """The same page for a repository or a notebook; figures are linked."""
    text = markdown_text
    lines = [f"# {text(told['question'])}", ""]
    if told["aa"] is not None:
        lines += [
            f"**{text(told['aa'].sentence)}**" if told["aa"].alarm else text(told["aa"].sentence),
            "",
        ]
    if not told["complete"]:
        lines += [f"**{text(told['progress'])}**", ""]
    lines += [f"- **{text(card['word'])}**: {text(card['sentence'])}" for card in told["cards"]]
    lines += ["", *(f"- {name}: {text(value)}" for name, value in told["facts"])]
    for figure in figures:
        lines += ["", f"![{figure.name}](figures/{figure.name}.svg)", "", text(figure.caption)]
    for table in tables:
        lines += ["", f"## {text(table.name)}", "", text(table.caption), "", table.markdown().rstrip()]
    if warnings:
        lines += ["", "## Warnings", "", *(f"- {text(warning)}" for warning in warnings)]
    return "\n".join(lines) + "\n"
