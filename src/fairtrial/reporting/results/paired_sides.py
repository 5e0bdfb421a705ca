"""The two or four sides of a contrast, wherever their values came from, and the interval between them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairtrial.reporting.results.replication_units import ReplicationUnit
from fairtrial.stats import paired_interval
from fairtrial.stats.records import PairedInterval


@dataclass(frozen=True)
class ContrastSide:
    """One arm of a contrast: seed -> value, what its runs spent, which of them failed or are missing."""

    name: str
    values: Mapping[int, float]
    spent: float | None  # mean of the declared budget's column over the runs that finished
    runs: int
    failures: Counter[str]
    failed_seeds: frozenset[int]  # they score chance
    missing: Counter[str]  # how runs failed that have no outcome
    missing_seeds: frozenset[int]
    per_seed: int  # runs that are averaged within a seed
    overlap: int  # test images that were among the upstream images, as far as the records know


def differences(parts: Sequence[ContrastSide], seeds: Sequence[int]) -> dict[int, float]:
    """Return seed -> treatment minus control, or the gain at the first level minus that at the second."""
    complete = [seed for seed in seeds if all(seed in part.values for part in parts)]
    signs = (1, -1) if len(parts) == 2 else (1, -1, -1, 1)
    return {
        seed: sum(sign * part.values[seed] for sign, part in zip(signs, parts, strict=True))
        for seed in complete
    }


def interval(
    parts: Sequence[ContrastSide],
    unit: ReplicationUnit,
    level: float,
    *,
    without: frozenset[int] = frozenset(),
) -> PairedInterval:
    """Return the paired t interval of `differences`, joined on the seed and averaged within each unit."""
    kept = [seed for seed in differences(parts, unit.seeds) if seed not in without]
    columns = [{seed: part.values[seed] for seed in kept} for part in parts]
    if len(columns) == 4:
        columns = [{s: columns[i][s] - columns[i + 1][s] for s in kept} for i in (0, 2)]
    return paired_interval(columns[0], columns[1], level, groups=unit.labels(kept), unit=unit.name)


def has_limits(interval: PairedInterval | None) -> bool:
    """Say whether there is an interval at all: three units or more, and some variance."""
    return interval is not None and math.isfinite(interval.low)
