"""The commands on tables: what another tool made, and what another tool shall read."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from fairtrial.cli import options
from fairtrial.cli.output import show
from fairtrial.cli.study_commands import recorded
from fairtrial.errors import fault
from fairtrial.screen import working
from fairtrial.study.study import Study

if TYPE_CHECKING:
    from fairtrial.reporting.verdict_view import Verdicts


def compare(given: Namespace) -> int:
    """Judge contrasts between arms of a table that another tool made."""
    at = dict(_level(text) for text in given.at)
    margin = None if given.margin is None else options.positive(given.margin, "--margin")
    form = None if given.figure is None else _form(given.figure)
    from fairtrial.reporting.comparison.compare_table import Asked, compare_table
    from fairtrial.reporting.comparison.expectation import exit_code
    from fairtrial.reporting.comparison.table_columns import TableColumns
    from fairtrial.reporting.comparison.table_file import read_table

    asked = Asked(
        columns=TableColumns(
            given.arm or "", given.metric or "", given.unit, given.pair or "", at, given.each or ""
        ),
        treatments=given.treatment,
        control=given.control,
        margin=margin,
        scale=given.scale or "",
        lower_is_better=given.lower_is_better,
        allow_partial=given.allow_partial,
    )
    with working("judging the table"):
        found = compare_table(read_table(given.table), asked, str(given.table))
    drawn = [] if form is None else [f"drawn: {_draw(found, given.figure, form)}"]
    code = exit_code(found.findings, given.expect)
    show({**found.record(), "exit_code": code}, [*found.lines(), *drawn], given.json)
    return code


def _level(text: str) -> tuple[str, str]:
    name, sign, level = text.partition("=")
    if not (name and sign and level):
        raise fault(f"{text!r} names no level of a column", "--at", "write for example --at batch_size=4")
    return name, level


def _form(path: Path) -> str:
    """Return the format of a figure, by the end of its name; no other is drawn."""
    form = path.suffix.lower().removeprefix(".")
    if form not in ("svg", "pdf", "png"):
        raise fault(f"no figure is drawn as {path.name!r}", "--figure", "end its name in .svg, .pdf or .png")
    return form


def _draw(found: Verdicts, path: Path, form: str) -> Path:
    from fairtrial.reporting.derived_files import write_files

    write_files(path.parent, {path.name: found.drawn(form)})
    return path


def export(study: Study, given: Namespace) -> int:
    """Write the recorded attempts of a study for another tool."""
    from fairtrial.reporting.export_runs import export

    out = options.results_folder(given.out, "--out")
    with working("writing the attempts"):
        said = export(recorded(study, given), given.to, out)
    return show({"written": said}, [said], given.json)
