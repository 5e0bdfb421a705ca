"""Recorded cells -> the spread of each declared contrast, which a plan starts from."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fairtrial.reporting.results import load
from fairtrial.reporting.verdicts import interim_analyses
from fairtrial.reporting.verdicts.findings import measure
from fairtrial.storage.store import Store
from fairtrial.study.study import Contrast


def spreads(store: Store, contrasts: Sequence[Contrast]) -> list[tuple[str, float, int]]:
    """Return (contrast, sd of its paired differences, n) where a pilot recorded three pairs or more."""
    results = interim_analyses.replay(load.load(store))
    found = [(contrast, measure(results, contrast, partial=True).interval) for contrast in contrasts]
    return [
        (contrast.name, each.sd, each.n)
        for contrast, each in found
        if each is not None and math.isfinite(each.low)
    ]
