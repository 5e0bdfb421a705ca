"""Which wanted exhibits the recorded cells can show, each with its figures, or with what it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from fairtrial.reporting.figures.figure_files import Drawn
from fairtrial.reporting.report.drawing import Hung
from fairtrial.reporting.report.recorded_studies import Recorded
from fairtrial.reporting.report.wanted_items import WANTED, Bench, Cells, Wanted
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.wording import clean, plural


@dataclass(frozen=True, eq=False)
class Shown:
    """One exhibit of the list. figures: (what it was drawn from, figure); needs: what would fill it."""

    id: str
    wanted: Wanted
    figures: tuple[tuple[str, Drawn], ...]
    tables: tuple[Table, ...]
    studies: tuple[str, ...]  # keys of those that it was drawn from
    needs: str

    @property
    def drawn(self) -> bool:
        """Whether anything can be shown."""
        return bool(self.figures or self.tables)


def cover(studies: Sequence[Recorded], hung: Mapping[str, Hung], benches: Sequence[str]) -> list[Shown]:
    """The whole list in its order. hung: by key of a study, of a bench, or id of an exhibit."""
    return [_shown(name, wanted, studies, hung, benches) for name, wanted in WANTED.items()]


def _shown(
    name: str, wanted: Wanted, studies: Sequence[Recorded], hung: Mapping[str, Hung], benches: Sequence[str]
) -> Shown:
    figures: list[tuple[str, Drawn]] = []
    tables: list[Table] = []
    keys = []
    for source in wanted.sources:
        if isinstance(source, Bench):
            for key in benches:
                figures += [("bench", f) for f in hung[key].figures if source.shows(hung[key].short(f))]
                mine = (table for table in hung[key].tables)
                tables += [table for table in mine if source.shows(table.name.removeprefix(f"{key}-"))]
            continue
        for study in studies:
            found = _of(study, source, hung[study.key])
            figures += [(study.name, figure) for figure in found]
            keys += [study.key] if found else []
    if name in hung:
        figures += [("without cells", figure) for figure in hung[name].figures]
        tables += hung[name].tables
    needs = "" if figures or tables else (hung[name].needs if name in hung else "") or wanted.fill
    return Shown(name, wanted, tuple(figures), tuple(tables), tuple(dict.fromkeys(keys)), needs)


def _of(study: Recorded, source: Cells, hung: Hung) -> list[Drawn]:
    if not source.fits(study.seen.results.study):
        return []
    return [figure for figure in hung.figures if source.shows(hung.short(figure))]


def coverage_table(shown: Sequence[Shown]) -> Table:
    """One row per exhibit: drawn, from what; or the command that would fill it."""
    rows = [
        {
            "id": each.id,
            "exhibit": each.wanted.title,
            "serves": ", ".join(each.wanted.serves),
            "tier": each.wanted.tier,
            "state": ("drawn in part" if each.wanted.lacks else "drawn") if each.drawn else "not drawn",
            "from": ", ".join(dict.fromkeys(label for label, _ in each.figures)),
            "needs": each.needs or _lacks(each.wanted),
        }
        for each in shown
    ]
    done = sum(each.drawn for each in shown)
    caption = f"{done} of {plural(len(shown), 'exhibit')} can be shown from what is recorded."
    return Table("coverage", caption, pd.DataFrame(rows))


def _lacks(wanted: Wanted) -> str:
    return f"for {wanted.lacks}: {wanted.fill}" if wanted.lacks else ""


def study_table(studies: Sequence[Recorded]) -> Table:
    """One row per study: which cells exist."""
    rows = []
    for each in studies:
        results, control = each.seen.results, each.seen.control
        rows.append(
            {
                "study": each.label,
                "preset": clean(results.study.preset),
                "cells": results.progress,
                "arms": str(len(results.study.arms())),
                "seeds": str(len(results.seeds)),
                "budget": f"{results.study.budget.words} per run",
                "hash": results.hash,
                "failed": str(int(results.ended["failed"].sum())),
                "A/A": "none" if control is None else _aa_check(control.holds),
            }
        )
    cells = sum(each.seen.results.done for each in studies)
    caption = (
        f"Which cells exist: {cells:,}, in {len(studies)} {'study' if len(studies) == 1 else 'studies'}."
    )
    return Table("studies", caption, pd.DataFrame(rows))


def _aa_check(holds: bool | None) -> str:
    return {True: "no difference", False: "ALARM", None: "undecided"}[holds]
