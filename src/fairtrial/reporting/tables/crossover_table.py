"""Which arm leads along its schedule, as a table: a row per point of each clock."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fairtrial.reporting.results.load import Results
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.verdicts.captions import provenance
from fairtrial.reporting.verdicts.crossover_sentences import CAUTION, SCALE, place_of, read, said, units
from fairtrial.reporting.verdicts.findings import rule_of
from fairtrial.reporting.verdicts.learning_curve_crossover import Lead, Race
from fairtrial.reporting.verdicts.sentences import arms
from fairtrial.reporting.wording import clean


def crossover_table(results: Results, found: Sequence[Race]) -> Table | None:
    """One row per point of the figure; None where there is no figure."""
    if not found:
        return None
    level = f"{100 * rule_of(results).level:.4g} %"
    caption = (
        "Which arm leads within its schedule: paired differences in validation accuracy at each point, in "
        f"points, with the limits that hold at all points of a clock at once (simultaneous {level}, "
        f"Bonferroni) and those of a point alone. {said(found)} {read(found)} {CAUTION}. "
        f"{units(results, found)}. {provenance(results)}"
    )
    rows = [row for race in found for lead in race.leads for row in _rows(lead, level)]
    return Table("crossover", caption, pd.DataFrame(rows))


def _rows(lead: Lead, level: str) -> Iterator[dict[str, Any]]:
    treatment, control, at = arms(lead.contrast)
    band = lead.band
    sides = [None] * 4 if band is None else [band.low, band.high, band.pointwise_low, band.pointwise_high]
    heads = ("simultaneous low", "simultaneous high", f"{level} low", f"{level} high")
    for index, (place, ahead) in enumerate(zip(lead.places, lead.ahead, strict=True)):
        yield {
            "contrast": clean(lead.contrast.name),
            "arms": f"{treatment} against {control}{at}",
            "clock": lead.clock,
            "at": place_of(lead.clock, float(place)),
            "difference": SCALE.show(float(lead.mean[index])),
            **{head: _limit(side, index) for head, side in zip(heads, sides, strict=True)},
            "n": str(lead.unit.count(lead.runs)),
            "leads": {1: treatment, -1: control}.get(ahead, "open" if band is not None else ""),
        }


def _limit(side: np.ndarray | None, index: int) -> str:
    return "" if side is None or not math.isfinite(side[index]) else SCALE.show(float(side[index]))
