"""The tables and pictures of what the benches measured: `python analysis/speed.py [FOLDER ...]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fairtrial.errors import DONE, Fault
from fairtrial.reporting.figures import figure_files
from fairtrial.reporting.figures.speed_figures import pictures
from fairtrial.reporting.results.timings import read_timings, timing_folders
from fairtrial.reporting.tables import table as tables
from fairtrial.reporting.tables.speed_tables import table
from fairtrial.storage import atomic

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


def draw(folder: Path, to: Path | None = None) -> list[Path]:
    """A table, pictures and captions of one device. to: the folder, by default that of its results."""
    timings = read_timings(folder)
    to = to or folder
    with figure_files.styled():
        drawn = [figure_files.rendered(*made) for made in pictures(timings)]
    told = table(timings)
    captions = {each.name: each.caption for each in drawn} | {told.name: told.caption}
    text = "\n\n".join(f"## {name}\n\n{caption}" for name, caption in captions.items())
    paths = [*figure_files.write(drawn, to / "figures"), *tables.write([told], to / "tables")]
    paths.append(to / "captions.md")
    atomic.publish(paths[-1], text + "\n", overwrite=True)
    return paths
