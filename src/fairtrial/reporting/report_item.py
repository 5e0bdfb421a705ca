"""What a row of the registry holds: a figure or table, what it is made from, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from fairtrial.errors import INCOMPLETE, fault
from fairtrial.measurements import measurement_record
from fairtrial.reporting.wording import clean
from fairtrial.storage.integrity import Record
from fairtrial.study.study import Study

SMOKE, REPORT, NIGHTLY = "smoke", "report", "nightly"
# What a row is made from: StudyVerdicts, the timings of a bench, the folder of all results.
STUDY, BENCH, RESULTS = "study", "bench", "results"
FOUR_ARMS: Final[Mapping[str, tuple[Any, ...]]] = {"norm": ("bn", "gn"), "weight_std": (False, True)}


@dataclass(frozen=True)
class Cells:
    """The cells that an item of the written report is about.

    swept: factors with the levels that must be among those swept, () for any two. fixed: settings that all
    arms share. pretrained: whether arms must, or must not, start from a checkpoint.
    """

    swept: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    pretrained: bool | None = None

    def fits(self, study: Study) -> bool:
        """Return whether a study has such cells."""
        if study.cell or not all(
            _among(levels, study.factors.get(name, ())) for name, levels in self.swept.items()
        ):
            return False
        arms = [study.settings(arm) for arm in study.arms()]
        starting = any(arm.starts_from_checkpoint for arm in arms)
        return (self.pretrained is None or self.pretrained == starting) and all(
            getattr(arm, name) == level for name, level in self.fixed.items() for arm in arms
        )


def _among(wanted: tuple[Any, ...], swept: Collection[Any]) -> bool:
    """Return whether the wanted levels are swept; where any will do, whether several are."""
    return set(wanted) <= set(swept) if wanted else len(swept) > 1


@dataclass(frozen=True)
class ReportItem:
    """A figure or table that the written report wants, by its id: "F2.3".

    questions: the pages that it stands on, the first one its own. claim: what it may be quoted for. fill: the
    command for what is missing. shows: names of figures and tables, * for anything; () for all that its row
    makes. lacks: what a figure from the studies that ship leaves out.
    """

    id: str
    title: str
    questions: tuple[str, ...]
    tier: str
    claim: str
    fill: str = ""
    shows: tuple[str, ...] = ()
    cells: Cells = field(default_factory=Cells)
    lacks: str = ""

    def includes(self, name: str) -> bool:
        """Return whether a figure or table of this name belongs to the item."""
        return not self.shows or any(fnmatchcase(name, pattern) for pattern in self.shows)


@dataclass(frozen=True)
class RegistryRow:
    """A row of the registry, in the file of its figure or table.

    make: from the source, every figure as (name, caption, figure) and every table. sweeps: groups of factors;
    a study has the figure if it sweeps one or more of each group. rank: its place in the report of a study.
    """

    source: str
    make: Callable[[Any], Iterable[Any]]
    items: tuple[ReportItem, ...] = ()
    sweeps: tuple[tuple[str, ...], ...] = ()
    rank: int = 100

    def fits(self, study: Study) -> bool:
        """Return whether a study sweeps what the figure shows."""
        return all(any(len(study.factors.get(name, ())) > 1 for name in group) for group in self.sweeps)


def read_measurement(results: Path, name: str) -> Record:
    """Return the recorded measurement of this name; a Fault (exit code 5) that names the command without."""
    path = measurement_record.path_of(results, name)
    try:
        return measurement_record.read(path, name)
    except FileNotFoundError:
        do = f"{measurement_record.command(name)} --results {results}"
        raise fault(f"{name} was not measured yet", str(path), do, INCOMPLETE) from None


def network_name(name: str) -> str:
    """Return 'R50x1' of "r50x1", as BiT writes it; the minis as they are called."""
    return name if name.startswith("mini") else name.upper().replace("X", "x")


def measured_by(record: Record) -> str:
    """Return 'Commit 1a2b3c4, torch 2.15.' of a measurement."""
    commit = record["origin"].get("commit")
    code = f"Commit {clean(commit)[:7]}" if commit else "Commit not recorded"
    return f"{code}, torch {clean(record['origin']['torch'])}."
