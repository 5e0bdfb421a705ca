"""Cells gathered into arms: each seed's value, who failed, the mean with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from analysis.table import Results, per_seed
from analysis.words import clean
from fairtrial import factors
from fairtrial.stats import mean_interval
from fairtrial.stats.records import MeanInterval
from fairtrial.study import Study


@dataclass(frozen=True)
class Group:
    """One point of a figure, one row of a table; `mean` is None where no interval may be shown."""

    levels: dict[str, Any]
    values: dict[int, float]
    failed: frozenset[int]
    mean: MeanInterval | None

    @property
    def label(self) -> str:
        """The arm in words."""
        return clean(factors.label(self.levels))

    @property
    def centre(self) -> float:
        """The mean over seeds, NaN without any."""
        return math.fsum(self.values.values()) / len(self.values) if self.values else math.nan


def gather(results: Results, names: Sequence[str], metric: str, *, intervals: bool) -> list[Group]:
    """One group per combination of the levels of `names`; other swept factors are averaged within a seed."""
    found = []
    for levels in product(*(results.study.factors[name] for name in names)):
        arm = dict(zip(names, levels, strict=True))
        cells = results.where(arm)
        values = per_seed(cells, metric)
        lost = frozenset(int(seed) for seed in cells["seed"][cells["failed"].astype(bool)])
        mean = mean_interval(values) if intervals and len(values) >= 3 else None
        found.append(Group(arm, values, lost, mean if mean and math.isfinite(mean.low) else None))
    return found


def metric_of(study: Study) -> str:
    """The metric of the first declared contrast."""
    return study.contrasts[0].metric if study.contrasts else "test_acc"


def axis_of(study: Study) -> str | None:
    """The swept factor with most numeric levels, for a figure's axis; None when no factor has two."""
    sizes = {
        name: sum(isinstance(level, (int, float)) and not isinstance(level, bool) for level in levels)
        for name, levels in study.factors.items()
    }
    name = max(sizes, key=lambda each: sizes[each])
    return name if sizes[name] >= 2 else None
