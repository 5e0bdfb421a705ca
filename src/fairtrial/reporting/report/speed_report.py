"""The tables and pictures of what the benches measured: `python analysis/speed.py [FOLDER ...]`."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from fairtrial.errors import DONE, Fault
from fairtrial.reporting.derived_files import write_files
from fairtrial.reporting.figures.figure_files import FORMATS, figure_files
from fairtrial.reporting.report.figure_registry import draw_rows, tabulate_rows
from fairtrial.reporting.report_item import BENCH
from fairtrial.reporting.results.timings import read_timings, timing_folders
from fairtrial.reporting.tables.table import table_files

RESULTS: Final = Path("results/bench")


def main(arguments: Sequence[str]) -> int:
    """The exit code: 3 for results that cannot be trusted, said in one block each."""
    folders = [Path(argument) for argument in arguments] or timing_folders(RESULTS)
    try:
        for folder in folders or [RESULTS]:
            for path in draw(folder):
                print(f"wrote {path}")
    except Fault as found:
        print(found.block(), file=sys.stderr)
        return found.code
    return DONE


def draw(folder: Path) -> list[Path]:
    """Write the table, the figures and the captions of one device, beside its results."""
    return write_files(folder, report_files(folder))


def report_files(folder: Path, formats: Collection[str] = FORMATS) -> dict[str, str | bytes]:
    """Return the files of one device by their names. formats: of figures, beside svg."""
    timed = read_timings(folder)
    figures, tables = draw_rows(BENCH, timed, formats=formats), tabulate_rows(BENCH, timed)
    captions = {figure.name: figure.caption for figure in figures} | {t.name: t.caption for t in tables}
    return {
        **figure_files(figures),
        **table_files(tables),
        "captions.md": "\n\n".join(f"## {name}\n\n{text}" for name, text in captions.items()) + "\n",
    }
