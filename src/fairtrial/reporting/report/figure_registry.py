"""The one registry of figures and tables: the rows of `figures` and `tables`, and what they make.

A new figure is one file in `reporting/figures` with its row in `ROWS`; nothing else has to know of it. From
the rows follow what the report of a study shows, what the report over all studies shows, and what it misses.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Collection
from dataclasses import replace
from functools import cache
from pathlib import Path
from textwrap import wrap
from typing import Any, Final

from matplotlib.figure import Figure

from fairtrial.reporting import figures, tables
from fairtrial.reporting.figures import style
from fairtrial.reporting.figures.figure_files import FORMATS, RenderedFigure, render, styled
from fairtrial.reporting.figures.figure_layout import Figures
from fairtrial.reporting.report_item import NIGHTLY, RESULTS, STUDY, RegistryRow, ReportItem
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.verdicts.captions import provenance
from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts

_STAMP_WIDTH: Final = 60  # characters of a line of the stamp above a figure
_LATER: Final = "arms that this release does not have"
PLANNED: Final = (
    ReportItem(
        "F5.4", "A toy detector", ("Q5",), NIGHTLY, "average precision on drawn shapes",
        f"{_LATER}: a detector that trains",
    ),
)  # fmt: skip
# What the page of a question draws, each with a plain sentence; the figure that shows the answer is first.
# Other items stand in folds and on the pages of studies.
ON_PAGE: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "Q1": (
        ("F1.1", "Two networks see the same few images; one of them has learned on other images before."),
        ("FE.1", "With more examples of each class, every network gets better: how fast?"),
        ("F1.2", "Fine-tuning changes the whole network; a probe trains a last layer alone."),
    ),
    "Q2": (
        ("T2.1", "BiT is a ResNet with a few changes; here they are made one by one."),
        ("F2.3", "Before any training: does a signal keep its size through the network?"),
        ("F3.1", "Both changes that BiT makes to its layers, each alone and both together."),
        ("F2.4", "The standardized filters cost time at each step; this is how much."),
        ("T2.2", "The networks by name: their authors' numbers beside ours."),
    ),
    "Q3": (
        ("F3.3", "How many images a network sees before each update."),
        ("F3.7", "A normalization averages over some numbers; those of one colour go together."),
        ("F3.5", "An average over few images is a poor guess, and BN works with such averages."),
        ("F3.4", "Every update sees as many images; only BN's averages are over fewer."),
        ("F3.2", "Does standardizing the weights help one normalization more than the other?"),
    ),
    "Q4": (
        ("F4.2", "MixUp trains on blends of two images; what it gains depends on how many there are."),
        ("F4.1", "How strongly two images are blended is drawn; mostly one is hardly seen."),
        ("F4.5", "The same gain, for each kind of normalization."),
    ),
    "Q5": (
        ("F5.3", "A detector looks at many empty places; this loss counts the easy ones less."),
        ("T2.2", "The networks by name: how large they are, and how much one image takes."),
        ("T5.2", "A detector made of a BiT network: each part, and the published precision."),
    ),
    "EC": (
        ("FE.1", "A network that saw many images before is shown 1 to 10 of each new class."),
        ("FE.4", "What the authors of BiT print for their own, far larger networks."),
        ("FE.3", "Which images are drawn matters most when there are few of them."),
        ("F1.1", "What the earlier training is worth at each number of examples."),
    ),
}


@cache
def rows(kind: str) -> tuple[RegistryRow, ...]:
    """Return every row of 'figures' or of 'tables', in the order of a study's report."""
    package = {"figures": figures, "tables": tables}[kind]
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]
    return tuple(
        sorted((row for module in modules for row in getattr(module, "ROWS", ())), key=lambda row: row.rank)
    )


@cache
def report_items() -> dict[str, tuple[ReportItem, RegistryRow | None]]:
    """Return what the written report wants, by id, each with the row that makes it; None where none does."""
    made = [(item, row) for kind in ("figures", "tables") for row in rows(kind) for item in row.items]
    every = [*made, *((item, None) for item in PLANNED)]
    return {item.id: (item, row) for item, row in sorted(every, key=lambda pair: _order(pair[0].id))}


def _order(item_id: str) -> tuple[str, int]:
    """Return what sorts 'T1.5' before 'F2.3', 'F3.9' before 'F3.10', and 'FE.1' last."""
    section, number = re.fullmatch(r"[FT](\w)\.(\d+)", item_id).groups()  # type: ignore[union-attr]
    return section, int(number)


def figures_of(study: StudyVerdicts) -> Figures:
    """Yield every figure that the recorded cells of a study allow; one of an incomplete study says so."""
    results = study.results
    with styled():
        for row in rows("figures"):
            if row.source == STUDY and row.fits(results.study):
                for name, caption, figure in row.make(study):
                    yield name, caption, stamped(figure, results)


def stamped(figure: Figure, results: Results) -> Figure:
    """Return a figure that says over it what keeps a study from verdicts, if anything does."""
    if not results.sound:
        stamp = "\n".join(wrap(results.unsound.partition("; ")[0], _STAMP_WIDTH))
        figure.suptitle(stamp, color=style.ALARM, fontsize=8, fontweight="bold")
    return figure


def draw_study(study: StudyVerdicts, formats: Collection[str] = FORMATS) -> list[RenderedFigure]:
    """Draw every figure of a study, with where it comes from in its caption."""
    with styled():
        return [
            replace(render(name, caption, figure, formats), provenance=provenance(study.results))
            for name, caption, figure in figures_of(study)
        ]


def tabulate_study(study: StudyVerdicts) -> list[Table]:
    """Make every table of a study."""
    made = (row for row in rows("tables") if row.source == STUDY and row.fits(study.results.study))
    return [table for row in made for table in row.make(study)]


def draw_rows(
    source: str, given: Any, prefix: str = "", formats: Collection[str] = FORMATS
) -> list[RenderedFigure]:
    """Draw every figure that is made from a source. prefix: of their names."""
    with styled():
        return [
            render(prefix + name, caption, figure, formats)
            for row in rows("figures")
            if row.source == source
            for name, caption, figure in row.make(given)
        ]


def tabulate_rows(source: str, given: Any) -> list[Table]:
    """Make every table that is made from a source."""
    return [table for row in rows("tables") if row.source == source for table in row.make(given)]


def draw_item(
    item_id: str, results: Path, formats: Collection[str] = FORMATS
) -> tuple[list[RenderedFigure], list[Table]]:
    """Make an item that needs no cells; a Fault (exit code 5) names what the folder of results lacks."""
    _, row = report_items()[item_id]
    assert row is not None and row.source == RESULTS
    with styled():
        made = list(row.make(results))
        tables_made = [part for part in made if isinstance(part, Table)]
        figures_made = [part for part in made if not isinstance(part, Table)]
        return [render(name, text, figure, formats) for name, text, figure in figures_made], tables_made
