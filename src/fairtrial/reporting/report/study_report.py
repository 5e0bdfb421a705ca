"""The report of one study: its pages, figures, tables and verdicts, from its recorded cells."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairtrial.errors import Fault
from fairtrial.reporting.derived_files import write_files
from fairtrial.reporting.figures.figure_files import FORMATS, figure_files
from fairtrial.reporting.report import pdf_report, study_page
from fairtrial.reporting.report.figure_registry import draw_study, tabulate_study
from fairtrial.reporting.report.pdf_document import PDF, refuse_without_typst, typeset
from fairtrial.reporting.results import load, shared_runs
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.results.shared_runs import Shared
from fairtrial.reporting.tables.table import csv_text, table_files
from fairtrial.reporting.verdicts.aa_check import AACheck
from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts, judge_study
from fairtrial.reporting.verdicts.verdict_record import finding_record, rounded
from fairtrial.stats.records import plain
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


def build(store: Store, *, allow_partial: bool = False, pdf: bool = False) -> Report:
    """Rebuild everything derived from a study's records, in its folder; equal records give equal bytes.

    An incomplete study gets figures without intervals and no verdicts; with allow_partial its complete pairs
    are used, and every figure and verdict says so. pdf: as one document
    too; a Fault without its extra.
    """
    if pdf:
        refuse_without_typst()
    study = judge_study(store, partial=allow_partial)
    shared = shared_runs.beside(store.folder, shared_runs.digests(study.results))
    paths = write_files(store.folder, report_files(study, shared=shared, pdf=pdf))
    for name in shared:
        _name_in(store.folder.parent / name)
    return Report(
        path=store.folder / (PDF if pdf else "report.html"),
        sentences=(*study.sentences, *([study.control.sentence] if study.control else [])),
        warnings=study.warnings,
        complete=study.results.complete,
        figures=tuple(path for path in paths if path.parent.name == "figures"),
        tables=tuple(path for path in paths if path.parent.name == "tables"),
        verdicts=tuple(finding.verdict for finding in study.findings),
        alarm=study.control is not None and study.control.alarm,
    )


def _name_in(neighbour: Path) -> None:
    """Draw a neighbour's report anew where it does not name the runs that it shares; only a sound one."""
    shared = shared_runs.beside(neighbour, shared_runs.of_summary(neighbour))
    page = shared_runs.page_of(neighbour)
    if page is None or shared_runs.words(shared) in page:
        return
    try:
        study = judge_study(Store(neighbour))
    except Fault:  # its own report says what is wrong with it
        return
    if study.results.sound:
        write_files(neighbour, report_files(study, shared=shared))


def report_files(
    study: StudyVerdicts,
    formats: Collection[str] = FORMATS,
    *,
    shared: Shared | None = None,
    pdf: bool = False,
) -> dict[str, str | bytes]:
    """Return the files of a study's report by their names.

    formats: of figures, beside svg. shared: runs that the studies beside it have too.
    """
    figures, tables = draw_study(study, formats), tabulate_study(study)
    content = study_page.facts(study, shared or {}), figures, tables, study.warnings
    document = {PDF: typeset(pdf_report.of_study(study, figures, tables, shared or {}))} if pdf else {}
    return {
        "summary.csv": csv_text(*load.summary(study.results)),
        "verdicts.json": _json(study),
        "report.md": study_page.markdown(*content),
        "report.html": study_page.html(*content),
        **figure_files(figures),
        **table_files(tables),
        **document,
    }


def _json(study: StudyVerdicts) -> str:
    results = study.results
    verdicts = {
        "study": results.study.name,
        "preset": results.study.preset,
        "hash": results.declared["history"][-1]["hash"],
        "complete": results.complete,
        "cells": {"done": results.done, "declared": len(results.frame)},
        **({"stopping": _stopping(results)} if results.study.rule else {}),
        "contrasts": [finding_record(*pair) for pair in zip(study.findings, study.sentences, strict=True)],
        "aa": None if study.control is None else rounded(_aa_check(study.control)),
    }
    return json.dumps(verdicts, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _stopping(results: Results) -> dict[str, Any]:
    """The rule, the cells that it spared, and at how many seeds each contrast is read."""
    assert results.study.rule is not None
    return {**results.study.rule.record(), "spared": results.not_required, "read_at": dict(results.read)}


def _aa_check(control: AACheck) -> dict[str, Any]:
    return {
        "arm": control.arm,
        "holds": control.holds,
        "state": control.state,
        "margin": control.margin,
        "half_width": control.half_width,
        "sentence": control.sentence,
        "differences": {str(seed): value for seed, value in control.differences.items()},
        "interval": plain(control.interval),
    }
