"""Which arm leads along its schedule, as a table: a row per point of each clock."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from fairtrial.reporting.report_item import STUDY, RegistryRow
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.verdicts.captions import provenance
from fairtrial.reporting.verdicts.crossover_sentences import (
    CAUTION,
    SCALE,
    count_units,
    describe_accuracies,
    describe_crossovers,
    format_place,
    list_curves,
)
from fairtrial.reporting.verdicts.learning_curve_crossover import LeadCurve
from fairtrial.reporting.verdicts.sentences import arms
from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts
from fairtrial.reporting.wording import clean


def crossover_tables(verdicts: StudyVerdicts) -> list[Table]:
    """Make a row per point of the figure; no table where there is no figure."""
    results, found = verdicts.results, verdicts.crossovers
    if not found:
        return []
    level = f"{100 * results.inference.level:.4g} %"
    caption = (
        "Which arm leads within its schedule: paired differences in validation accuracy at each point, in "
        f"points, with the limits that hold at all points of a clock at once (simultaneous {level}, "
        f"Bonferroni) and those of a point alone. {describe_crossovers(found)} "
        f"{describe_accuracies(found)} {CAUTION}. {count_units(results, found)}. {provenance(results)}"
    )
    rows = [row for curve in list_curves(found) for row in _rows(curve, level)]
    return [Table("crossover", caption, pd.DataFrame(rows))]


def _rows(curve: LeadCurve, level: str) -> Iterator[dict[str, Any]]:
    treatment, control, at = arms(curve.contrast)
    band = curve.band
    sides = [None] * 4 if band is None else [band.low, band.high, band.pointwise_low, band.pointwise_high]
    heads = ("simultaneous low", "simultaneous high", f"{level} low", f"{level} high")
    for index, (place, ahead) in enumerate(zip(curve.places, curve.ahead, strict=True)):
        yield {
            "contrast": clean(curve.contrast.name),
            "arms": f"{treatment} against {control}{at}",
            "clock": curve.clock,
            "at": format_place(curve.clock, float(place)),
            "difference": SCALE.show(float(curve.mean[index])),
            **{head: _limit(side, index) for head, side in zip(heads, sides, strict=True)},
            "n": str(curve.unit.count(curve.runs)),
            "leads": {1: treatment, -1: control}.get(ahead, "open" if band is not None else ""),
        }


def _limit(side: np.ndarray | None, index: int) -> str:
    return "" if side is None or not math.isfinite(side[index]) else SCALE.show(float(side[index]))


ROWS = (RegistryRow(STUDY, crossover_tables, rank=5),)
