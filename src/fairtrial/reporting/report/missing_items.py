"""What the written report wants: each item with the figures and tables that show it, or what it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from fairtrial.reporting.report_item import BENCH, RESULTS, STUDY, RegistryRow, ReportItem
from fairtrial.reporting.results.shared_runs import distinct
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.wording import clean, plural

if TYPE_CHECKING:
    from fairtrial.reporting.figures.figure_files import RenderedFigure
    from fairtrial.reporting.report.recorded_studies import RecordedStudy


@dataclass(frozen=True, eq=False)
class Drawings:
    """What came of one source; its figures are called KEY-NAME.

    needs: what an item without cells lacks. study: with its verdicts and tables, where the source is one.
    """

    key: str
    figures: Sequence[RenderedFigure] = ()
    tables: Sequence[Table] = ()
    needs: str = ""
    study: RecordedStudy | None = None

    def short_name(self, figure: RenderedFigure | Table) -> str:
        """Return the name of a figure without the key: 'contrasts'."""
        return figure.name.removeprefix(f"{self.key}-")

    def figures_of(self, item: ReportItem) -> list[RenderedFigure]:
        """Return the figures that belong to an item."""
        return [figure for figure in self.figures if item.includes(self.short_name(figure))]


@dataclass(frozen=True, eq=False)
class CoveredItem:
    """One item of the list. figures: (what it was drawn from, figure); needs: what would fill it."""

    item: ReportItem
    figures: tuple[tuple[str, RenderedFigure], ...]
    tables: tuple[Table, ...]
    studies: tuple[str, ...]  # names of those that it was drawn from
    needs: str

    @property
    def drawn(self) -> bool:
        """Whether anything can be shown."""
        return bool(self.figures or self.tables)


def cover(
    items: Mapping[str, tuple[ReportItem, RegistryRow | None]],
    studies: Sequence[RecordedStudy],
    drawings: Mapping[str, Drawings],
    benches: Sequence[str],
) -> list[CoveredItem]:
    """Return the whole list in its order. drawings: by key of a study, of a bench, or id of an item."""
    covered = []
    for item, row in items.values():
        figures: list[tuple[str, RenderedFigure]] = []
        tables: list[Table] = []
        sources: list[str] = []
        needs = ""
        if row is not None and row.source == STUDY:
            for study in studies:
                fitting = item.cells.fits(study.verdicts.results.study)
                own = drawings[study.key].figures_of(item) if fitting else []
                figures += [(study.name, figure) for figure in own]
                # of a figure and a table with one name, the figure shows the item
                shown = [t for t in study.tables if item.includes(t.name)] if fitting and not own else []
                tables += [replace(table, name=f"{study.key}-{table.name}") for table in shown]
                sources += [study.name] if own or shown else []
        elif row is not None and row.source == BENCH:
            for part in (replace(item, shows=(pattern,)) for pattern in item.shows):
                for bench in (drawings[key] for key in benches):
                    figures += [("bench", figure) for figure in bench.figures_of(part)]
                    tables += [table for table in bench.tables if part.includes(bench.short_name(table))]
        elif row is not None and row.source == RESULTS:
            made = drawings[item.id]
            figures, tables = [("without cells", figure) for figure in made.figures], list(made.tables)
            needs = made.needs
        needs = "" if figures or tables else needs or item.fill
        covered.append(CoveredItem(item, tuple(figures), tuple(tables), tuple(sources), needs))
    return covered


def coverage_table(covered: Sequence[CoveredItem]) -> Table:
    """Make a row per item: drawn, from what; or the command that would fill it."""
    rows = [
        {
            "id": each.item.id,
            "item": each.item.title,
            "serves": ", ".join(each.item.questions),
            "tier": each.item.tier,
            "state": ("drawn in part" if each.item.lacks else "drawn") if each.drawn else "not drawn",
            "from": ", ".join(dict.fromkeys([*(label for label, _ in each.figures), *each.studies])),
            "needs": each.needs or _lacks(each.item),
        }
        for each in covered
    ]
    done = sum(each.drawn for each in covered)
    caption = f"{done} of {plural(len(covered), 'report item')} can be shown from what is recorded."
    return Table("coverage", caption, pd.DataFrame(rows))


def _lacks(item: ReportItem) -> str:
    return f"for {item.lacks}: {item.fill}" if item.lacks else ""


def study_table(studies: Sequence[RecordedStudy]) -> Table:
    """Make a row per study: which cells exist."""
    rows = []
    for study in studies:
        results, control = study.verdicts.results, study.verdicts.control
        rows.append(
            {
                "study": study.label,
                "preset": clean(results.study.preset),
                "cells": results.progress,
                "arms": str(len(results.study.arms())),
                "seeds": str(len(results.seeds)),
                "budget": f"{results.study.budget.words} per run",
                "hash": results.hash,
                "trial runs": str(results.trial_runs),
                "pilots": clean(results.pilots) or "none named",
                "failed": str(int(results.ended["failed"].sum())),
                "A/A": "none" if control is None else control.words,
            }
        )
    cells = sum(study.verdicts.results.done for study in studies)
    apart = distinct([study.verdicts.results for study in studies])
    caption = (
        f"Which cells exist: {cells:,}, in {len(studies)} {'study' if len(studies) == 1 else 'studies'}; "
        f"runs that studies share counted once: {apart:,}."
    )
    return Table("studies", caption, pd.DataFrame(rows))
