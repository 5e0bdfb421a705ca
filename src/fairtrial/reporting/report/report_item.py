"""A figure or table of the written report, and the recorded file that it needs."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from fairtrial.errors import INCOMPLETE, fault
from fairtrial.measurements import measurement_record
from fairtrial.reporting.figures.figure_files import styled
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.wording import clean
from fairtrial.storage.integrity import Record

__all__ = ["Exhibit", "network", "probed", "said_of", "styled"]


class Exhibit(NamedTuple):
    """id: as FIGURES lists it, such as "F2.3". kind: "figure" or "table", which `thing` is."""

    id: str
    kind: str
    thing: Figure | Table
    caption: str


def probed(results: Path, name: str) -> Record:
    """The recorded probe of this name; a Fault (exit code 5) that names the command where there is none."""
    path = measurement_record.path_of(results, name)
    try:
        return measurement_record.read(path, name)
    except FileNotFoundError:
        do = f"{measurement_record.command(name)} --results {results}"
        raise fault(f"{name} was not measured yet", str(path), do, INCOMPLETE) from None


def network(name: str) -> str:
    """'R50x1' of "r50x1", as BiT writes it; the minis as they are called."""
    return name if name.startswith("mini") else name.upper().replace("X", "x")


def said_of(found: Record) -> str:
    """'Commit 1a2b3c4, torch 2.15.' of a probe."""
    commit = found["origin"].get("commit")
    code = f"Commit {clean(commit)[:7]}" if commit else "Commit not recorded"
    return f"{code}, torch {clean(found['origin']['torch'])}."
