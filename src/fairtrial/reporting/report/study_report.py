"""Recorded cells of one study -> report, figures, tables, verdicts, written under the study's folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from fairtrial.reporting.figures import figure_files as figures
from fairtrial.reporting.figures.crossover_figure import crossover_figure
from fairtrial.reporting.figures.figure_files import Drawn
from fairtrial.reporting.figures.ladder_figure import ladder_figure
from fairtrial.reporting.report import study_page
from fairtrial.reporting.results import load
from fairtrial.reporting.results.contrast_sides import overlap, overlap_words
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.tables import table as tables
from fairtrial.reporting.tables.attribution import attribution_tables
from fairtrial.reporting.tables.budget_parity import parity
from fairtrial.reporting.tables.crossover_table import crossover_table
from fairtrial.reporting.tables.fairness import fairness
from fairtrial.reporting.tables.ladder_table import ladder_table
from fairtrial.reporting.tables.outcome_tables import arm_table, contrast_table
from fairtrial.reporting.tables.pairing_table import pairing_table
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.tables.variance_table import variance_table
from fairtrial.reporting.verdicts import aa_check, learning_curve_crossover
from fairtrial.reporting.verdicts import findings as verdicts
from fairtrial.reporting.verdicts.aa_check import AACheck
from fairtrial.reporting.verdicts.findings import Finding
from fairtrial.reporting.verdicts.interim_analyses import open_study
from fairtrial.reporting.verdicts.learning_curve_crossover import Crossover
from fairtrial.reporting.verdicts.sentences import sentence, title
from fairtrial.reporting.wording import clean, plural
from fairtrial.stats.records import plain
from fairtrial.storage import atomic
from fairtrial.storage.store import Store


@dataclass(frozen=True)
class Report:
    """What was written, and what it says: one sentence per declared contrast, then that of the A/A check."""

    path: Path
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]
    complete: bool
    figures: tuple[Path, ...]
    tables: tuple[Path, ...]
    verdicts: tuple[str, ...]
    alarm: bool


@dataclass(frozen=True)
class Examined:
    """One study with everything that its cells say, before anything is drawn."""

    results: Results
    findings: tuple[Finding, ...]
    control: AACheck | None
    said: tuple[str, ...]  # one sentence per declared contrast
    crossovers: tuple[Crossover, ...]  # who leads along the schedule
    warnings: tuple[str, ...]
    partial: bool


def examine(store: Store, *, allow_partial: bool = False) -> Examined:
    """Read a study and judge it; nothing is drawn, nothing is written."""
    results = open_study(store.folder, partial=allow_partial)
    findings = verdicts.judge(results, partial=allow_partial)
    control = aa_check.compare(results, partial=allow_partial)
    said = tuple(_said(results, findings))
    warnings = tuple(_warnings(results, findings, control))
    ahead = tuple(learning_curve_crossover.find_crossovers(results, allow_partial))
    return Examined(results, findings, control, said, ahead, warnings, allow_partial)


def pictures(told: Examined) -> list[Drawn]:
    """Every figure of a study."""
    results, findings = told.results, told.findings
    more = chain(
        crossover_figure(results, told.crossovers),
        ladder_figure(results, findings, told.partial),
    )
    return figures.draw(results, findings, told.control, partial=told.partial, more=more)


def tabulate(told: Examined) -> list[Table]:
    """Every table of a study."""
    results, findings = told.results, told.findings
    return [
        *([contrast_table(results, findings)] if findings else []),
        arm_table(results, partial=told.partial),
        *attribution_tables(results),
        *([steps] if (steps := ladder_table(results, findings, told.partial)) else []),
        *([ahead] if (ahead := crossover_table(results, told.crossovers)) else []),
        *([paired] if (paired := pairing_table(results, findings)) else []),
        *([sources] if (sources := variance_table(results, partial=told.partial)) else []),
        parity(results),
        fairness(results),
    ]


def build(store: Store, *, allow_partial: bool = False, to: Path | None = None) -> Report:
    """Rebuild everything derived from a study's records; equal records give equal bytes.

    to: where it is written, by default the study's own folder.

    An incomplete study gets figures without intervals and no verdicts; with allow_partial its complete pairs
    are used, and every figure and verdict says so.
    """
    seen = examine(store, allow_partial=allow_partial)
    results, findings, control, said = seen.results, seen.findings, seen.control, seen.said
    drawn, made, warnings = pictures(seen), tabulate(seen), seen.warnings
    told = study_page.facts(results, findings, said, control)
    folder = to or store.folder
    atomic.publish(folder / "summary.csv", tables.csv_text(*load.summary(results)), overwrite=True)
    atomic.publish(folder / "verdicts.json", _json(results, findings, said, control), overwrite=True)
    atomic.publish(folder / "report.md", study_page.markdown(told, drawn, made, warnings), overwrite=True)
    atomic.publish(folder / "report.html", study_page.html(told, drawn, made, warnings), overwrite=True)
    return Report(
        path=folder / "report.html",
        sentences=(*said, *([control.sentence] if control else [])),
        warnings=warnings,
        complete=results.complete,
        figures=tuple(figures.write(drawn, folder / "figures")),
        tables=tuple(tables.write(made, folder / "tables")),
        verdicts=tuple(finding.verdict for finding in findings),
        alarm=control is not None and control.alarm,
    )


def sentences(store: Store, *, allow_partial: bool = False) -> tuple[list[str], bool]:
    """The sentences alone, and whether the study is complete; nothing is drawn, nothing is written."""
    results = open_study(store.folder, partial=allow_partial)
    findings = verdicts.judge(results, partial=allow_partial)
    control = aa_check.compare(results, partial=allow_partial)
    return [*_said(results, findings), *([control.sentence] if control else [])], results.complete


def _said(results: Results, findings: Sequence[Finding]) -> list[str]:
    kind, swept = results.study.budget.kind, tuple(results.study.factors)
    return [sentence(finding, kind, swept) for finding in findings]


def _warnings(results: Results, findings: Sequence[Finding], control: AACheck | None) -> list[str]:
    found = [control.sentence] if control is not None and control.alarm else []
    if not results.sound:
        found.append(results.unsound)
    if images := overlap(results, results.records):
        found.append(overlap_words(images))
    notes = {clean(note) for r in results.records.values() for note in r.provenance.data_notes or []}
    found += [f"data: {note}" for note in sorted(notes)]
    if len(results.declared["history"]) > 1:
        changes = plural(len(results.declared["history"]) - 1, "time")
        found.append(
            f"the declaration was changed {changes} since the first run; study.json holds its history"
        )
    return found + [f"{clean(f.contrast.name)}: {clean(warning)}" for f in findings for warning in f.warnings]


def _json(
    results: Results,
    findings: Sequence[Finding],
    said: Sequence[str],
    control: AACheck | None,
) -> str:
    told = {
        "study": results.study.name,
        "preset": results.study.preset,
        "hash": results.declared["history"][-1]["hash"],
        "complete": results.complete,
        "cells": {"done": results.done, "declared": len(results.frame)},
        **({"stopping": _stopping(results)} if results.study.rule else {}),
        "contrasts": [_finding(finding, text) for finding, text in zip(findings, said, strict=True)],
        "aa": None if control is None else _aa_check(control),
    }
    return json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _stopping(results: Results) -> dict[str, Any]:
    """The rule, the cells that it spared, and at how many seeds each contrast is read."""
    assert results.study.rule is not None
    return {**results.study.rule.record(), "spared": results.not_required, "read_at": dict(results.read)}


def _finding(finding: Finding, text: str) -> dict[str, Any]:
    names = ("interval", "whisker", "flip", "equivalence", "step", "ruling")
    return {
        "contrast": finding.contrast.record(),
        "arms": title(finding.contrast),
        "verdict": finding.verdict,
        "sentence": text,
        "reason": finding.reason,
        "margin": finding.margin,
        "differences": {str(seed): value for seed, value in finding.differences.items()},
        **_upstream_seeds(finding),
        "parity_gap": plain(finding.gap),
        "failures": {
            side.name: dict(sorted(side.failures.items())) for side in finding.sides if side.failures
        },
        "hedges_g": finding.effect,
        **{name: plain(getattr(finding, name)) for name in names},
        "stamps": list(finding.stamps),
        "warnings": list(finding.warnings),
    }


def _upstream_seeds(finding: Finding) -> dict[str, Any]:
    """Which checkpoint each difference belongs to, where that is what n counts."""
    labels = finding.unit.labels(finding.differences)
    return {} if labels is None else {"upstream_seeds": {str(seed): label for seed, label in labels.items()}}


def _aa_check(control: AACheck) -> dict[str, Any]:
    return {
        "arm": control.arm,
        "holds": control.holds,
        "sentence": control.sentence,
        "differences": {str(seed): value for seed, value in control.differences.items()},
        "interval": plain(control.interval),
    }
