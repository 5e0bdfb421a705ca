"""Cells gathered into arms: each seed's value, who failed, the mean with its interval."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from fairtrial.reporting.results.load import Results, per_seed
from fairtrial.reporting.results.replication_units import ReplicationUnit, unit_of
from fairtrial.reporting.wording import clean
from fairtrial.stats import mean_interval
from fairtrial.stats.records import MeanInterval
from fairtrial.study import factors
from fairtrial.study.contrast import Contrast, corners
from fairtrial.study.limits import MIN_UNITS
from fairtrial.study.study import Study

NORM: Final = ("norm", "weight_std")
_AXES: Final = ("shots", "batch_size", "stat_batch")  # where two factors have as many levels


@dataclass(frozen=True)
class Group:
    """One point of a figure, one row of a table; `mean` is None where no interval may be shown.

    values: seed -> value; unit: what n counts of them. look: the levels that decide its colour, with the
    norm of all arms where none is swept.
    """

    levels: dict[str, Any]
    values: dict[int, float]
    failed: frozenset[int]
    unit: ReplicationUnit
    mean: MeanInterval | None
    look: dict[str, Any]

    @property
    def label(self) -> str:
        """The arm in words."""
        return clean(factors.label(self.levels))

    @property
    def centre(self) -> float:
        """The mean over units, NaN without any."""
        means = self.unit.means(self.values)
        return math.fsum(means) / len(means) if means else math.nan

    @property
    def n(self) -> int:
        """The units with a value."""
        return self.unit.count(self.values)


def gather(results: Results, names: Sequence[str], metric: str, *, intervals: bool) -> list[Group]:
    """Return a group per combination of levels of `names` with arms; others are averaged within a seed."""
    groups = []
    for arm in combinations(results.study, names):
        cells = results.where(arm)
        lost = frozenset(int(seed) for seed in cells["seed"][cells["failed"].astype(bool)])
        groups.append(group_of(results, arm, per_seed(cells, metric), lost, intervals=intervals))
    return groups


def group_of(
    results: Results,
    arm: dict[str, Any],
    values: dict[int, float],
    lost: frozenset[int] = frozenset(),
    *,
    intervals: bool,
) -> Group:
    """Return the group of one arm. values: seed -> value; lost: the seeds whose run failed."""
    unit = unit_of(results, results.where(arm))
    mean = _interval(values, unit) if intervals else None
    return Group(arm, values, lost, unit, mean, identity(results.study, arm))


def balanced_accuracy(results: Results, cells: pd.DataFrame) -> float | None:
    """Return the mean over runs of the accuracy averaged over classes; None where classes are even."""
    measured = [results.records[cell].measured for cell in cells["cell"] if cell in results.records]
    known = [each.balanced_acc for each in measured if each.balanced_acc is not None]
    return math.fsum(known) / len(known) if known else None


def identity(study: Study, levels: Mapping[str, Any]) -> dict[str, Any]:
    """Return the levels of an arm with its norm, fixed or swept; without one that is averaged over."""
    settings = study.settings(levels)
    return {n: getattr(settings, n) for n in NORM if n not in study.factors or n in levels} | dict(levels)


def averaged_over(study: Study, names: Iterable[str]) -> list[str]:
    """Return the factors in which arms differ that are alike in `names`; not those that go with the arm."""
    named, found = list(names), dict[tuple, dict[str, set]]()
    for arm in study.arms():
        levels = found.setdefault(tuple(arm[name] for name in named if name in arm), {})
        for name in arm.keys() - set(named):
            levels.setdefault(name, set()).add(arm[name])
    return [name for name in study.factors if any(len(each.get(name, ())) > 1 for each in found.values())]


def data_of(study: Study, contrast: Contrast | None = None) -> tuple[str, ...]:
    """Return the data of a study's arms, or of one contrast: ('parquet:cifar10',)."""
    swept = study.factors.get("data") or (study.settings(study.arms()[0]).data,)
    sides = corners(contrast) if contrast is not None else []
    named = {side["data"] for side in sides if "data" in side}
    return tuple(data for data in swept if not named or data in named)


def combinations(study: Study, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the levels of `names` that arms have, in declared order."""
    seen = dict.fromkeys(tuple(arm[name] for name in names) for arm in study.arms())
    return [dict(zip(names, levels, strict=True)) for levels in seen]


def _interval(values: dict[int, float], unit: ReplicationUnit) -> MeanInterval | None:
    if unit.problem or unit.count(values) < MIN_UNITS:
        return None
    mean = mean_interval(values, groups=unit.labels(values), unit=unit.name)
    return mean if math.isfinite(mean.low) else None


def metric_of(study: Study) -> str:
    """Return the metric of the first declared contrast."""
    return study.contrasts[0].metric if study.contrasts else "test_acc"


def axis_of(study: Study) -> str | None:
    """Return the swept factor with most numeric levels, for a figure's axis; None when no factor has two."""
    sizes = {
        name: sum(isinstance(level, (int, float)) and not isinstance(level, bool) for level in levels)
        for name, levels in study.factors.items()
    }
    name = max(sizes, key=lambda factor: (sizes[factor], factor in _AXES))
    return name if sizes[name] >= 2 else None
