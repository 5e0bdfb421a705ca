"""Where the variance of one arm comes from: checkpoint, subset, other draws, test images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from fairtrial.reporting.results.arms import metric_of
from fairtrial.reporting.results.load import Results, per_seed
from fairtrial.reporting.results.replication_units import ReplicationUnit, kept_by_seed, unit_of
from fairtrial.reporting.verdicts.new_images import by_unit, right
from fairtrial.reporting.wording import listed
from fairtrial.stats import nested_components, sd_interval, variance_components
from fairtrial.stats.records import MeanInterval
from fairtrial.study import factors
from fairtrial.study.limits import MIN_UNITS
from fairtrial.study.settings import Settings

_ROUNDING: Final = 1e-12  # a variance of fractions below it is none


@dataclass(frozen=True)
class VarianceSource:
    """One component of a variance.

    variance: at least 0; clipped: its estimate came out negative. df: of its mean square; a sum has none.
    interval: of its sd, where chi-squared is exact: within the pairs alone.
    """

    name: str
    variance: float
    df: int | None = None
    clipped: bool = False
    interval: MeanInterval | None = None


@dataclass(frozen=True)
class VarianceSources:
    """The components of one arm, from its runs and those of its A/A arm, which keep the seed's images.

    unit: the replication unit. n: seeds with both runs. kept, drawn: what the two runs of a seed share, and
    what they do not, in words. between: down to the subset; draws: below it. Their sum is the variance of one
    run on this test set. single: that part of the draws which single test images make. images: what all runs
    share of this test set; it comes on top for new images. merged: why the outer unit has no row of its own;
    unseen: why there are no rows of images.
    """

    arm: str
    unit: ReplicationUnit
    n: int
    kept: str
    drawn: str
    between: tuple[VarianceSource, ...]
    draws: VarianceSource
    single: VarianceSource | None = None
    images: VarianceSource | None = None
    merged: str = ""
    unseen: str = ""

    @property
    def here(self) -> VarianceSource:
        """One run on this test set: the sum of all above it."""
        return VarianceSource(
            "one run, this test set", sum(source.variance for source in (*self.between, self.draws))
        )

    @property
    def anywhere(self) -> VarianceSource | None:
        """One run on new images; None where single images were not recorded."""
        if self.images is None:
            return None
        return VarianceSource("one run, new images", self.here.variance + self.images.variance)

    @property
    def outer(self) -> VarianceSource | None:
        """The component of the outer unit, where it has a row of its own."""
        return self.between[0] if len(self.between) > 1 else None

    @property
    def inner_count(self) -> float | None:
        """The cheapest number of runs of an outer unit that costs as much as one of them (STATISTICS 2).

        Where it costs c of them, times the root of c. None without an outer unit, or without variance of it.
        """
        if self.outer is None or not self.outer.variance:
            return None
        return math.sqrt((self.here.variance - self.outer.variance) / self.outer.variance)


def examine(results: Results, *, partial: bool = False) -> VarianceSources | None:
    """Return the sources of the arm that ran twice; failed runs score chance.

    None without an A/A arm, below three seeds with both runs, where verdicts are refused to the records, and
    where the unit of the arm has a problem.
    """
    arm = results.study.aa
    if arm is None or not (results.sound or partial):
        return None
    metric, unit = metric_of(results.study), unit_of(results, results.where(arm))
    first, second = (per_seed(results.where(arm, replica), metric) for replica in (0, 1))
    pairs = {s: (first[s], second[s]) for s in results.seeds if s in first and s in second}
    if len(pairs) < MIN_UNITS or unit.problem:
        return None
    settings = results.study.settings(arm)
    kept = kept_by_seed(settings.shots)
    drawn = listed(_drawn(settings))
    between, merged = _between(pairs, unit, kept)
    single, images, unseen = _images(results, arm, unit, list(pairs))
    return VarianceSources(
        arm=factors.label({name: arm[name] for name in results.study.factors}),
        unit=unit,
        n=len(pairs),
        kept=kept,
        drawn=drawn,
        between=between,
        draws=_draws(pairs, f"other draws ({drawn})"),
        single=single,
        images=images,
        merged=merged,
        unseen=unseen,
    )


def _drawn(settings: Settings) -> list[str]:
    """Return the streams that the A/A arm draws anew; init is void from a checkpoint with a head of zeros."""
    used = {
        "init": not settings.starts_from_checkpoint or settings.head == "drawn",
        "order": True,
        "augmentation": settings.augment != "none",
        "mixup": bool(settings.mixup),
    }
    return [name for name, is_used in used.items() if is_used]


def _draws(pairs: Mapping[int, tuple[float, float]], name: str) -> VarianceSource:
    """Return the component within the pairs: a degree of freedom each, and chi-squared is exact."""
    values = [value for pair in pairs.values() for value in pair]
    interval = sd_interval(dict(enumerate(values)), groups={i: i // 2 for i in range(len(values))})
    return VarianceSource(name, interval.sd**2, len(pairs), interval=interval)


def _between(
    pairs: Mapping[int, tuple[float, float]], unit: ReplicationUnit, kept: str
) -> tuple[tuple[VarianceSource, ...], str]:
    """Return the components above the draws, the outermost first, and why one of them is missing.

    Mean squares of a nested table. The mean of a pair has half of the variance of the draws in it.
    """
    below = nested_components(list(pairs.values()), groups=kept)
    means = {seed: sum(pair) / 2 for seed, pair in pairs.items()}
    members: dict[int, list[float]] = {}
    for seed, label in (unit.labels(means) or {}).items():
        members.setdefault(label, []).append(means[seed])
    sizes = {len(of_unit) for of_unit in members.values()}
    if len(members) > 1 and len(sizes) == 1 and min(sizes) > 1:
        above = nested_components(list(members.values()), groups=unit.outer)
        inner = above.ms_within - below.ms_within / 2
        outer = (above.ms_between - above.ms_within) / sizes.pop()
        free = len(members) - 1, len(pairs) - len(members)
        return (_source(unit.outer, outer, free[0]), _source(kept, inner, free[1])), ""
    name = f"{unit.outer} and {kept}" if len(members) > 1 else kept
    raw = (below.ms_between - below.ms_within) / 2
    return (_source(name, raw, len(pairs) - 1),), "" if len(members) < 2 else _unbalanced(unit, sizes)


def _unbalanced(unit: ReplicationUnit, sizes: set[int]) -> str:
    if sizes == {1}:
        return f"one {unit.inner} of each {unit.outer}: the two cannot be told apart"
    numbers = listed([str(size) for size in sorted(sizes)])
    return f"the {unit.outer}s have {numbers} {unit.inner}s: not the balanced table that would part the two"


def _source(name: str, raw: float, df: int) -> VarianceSource:
    return VarianceSource(name, max(raw, 0.0), df, clipped=raw < -_ROUNDING)


def _images(
    results: Results, arm: Mapping[str, Any], unit: ReplicationUnit, seeds: list[int]
) -> tuple[VarianceSource | None, VarianceSource | None, str]:
    """Return what single images add to the draws, what their choice adds to all runs, and why neither.

    Single: two runs of a seed that differ on d images have the variance of their differences within images,
    over twice the images. Choice: the component of images of the two-way table of units x images.
    """
    if metric_of(results.study) != "test_acc":
        return None, None, "the metric is not a count of right images"
    sides = [right(results, arm, replica) for replica in (0, 1)]
    if any(seed not in side for side in sides for seed in seeds):
        return None, None, "some runs have no record of single images"
    if len({len(side[seed]) for side in sides for seed in seeds}) != 1:
        return None, None, "test sets differ in size"
    first, second = (np.array([side[seed] for seed in seeds]) for side in sides)
    count = first.shape[1]
    single = float((first - second).var(axis=1, ddof=1).mean()) / (2 * count)
    means = dict(zip(seeds, (first + second) / 2, strict=True))
    crossed = variance_components(by_unit(unit, means), rows=unit.name, cols="image")
    raw = (crossed.ms_col - crossed.ms_res) / (crossed.n * count)
    return (
        VarianceSource("of these: single test images", single, len(seeds) * (count - 1)),
        _source("choice of test images", raw, count - 1),
        "",
    )
