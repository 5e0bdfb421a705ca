"""Which arm of a contrast is ahead on validation images along its schedule, by steps and by seconds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd

from fairtrial.reporting.results.contrast_sides import unit_of_contrast
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.results.refusals import mixed_hardware
from fairtrial.reporting.results.replication_units import ReplicationUnit
from fairtrial.stats import simultaneous_band
from fairtrial.stats.learning_curves import Band
from fairtrial.storage.record import Attempt, Spent
from fairtrial.study.contrast import corners
from fairtrial.study.limits import MIN_UNITS
from fairtrial.study.study import Contrast

STEPS, IMAGES, SECONDS = "steps", "images", "seconds"
MOST: Final = 2  # contrasts of a study, the first ones
_FAR: Final = 1e9  # stands for an infinite limit, which no line can be drawn to

Span: TypeAlias = tuple[float, float]
Pairs = Mapping[int, tuple["Curve", "Curve"]]


@dataclass(frozen=True, eq=False)
class Curve:
    """What one run reached on its way. at: clock -> when it was evaluated; a failed run has chance always."""

    at: Mapping[str, np.ndarray]
    accuracy: np.ndarray
    images: int  # behind each accuracy
    failed: bool = False

    def over(self, clock: str, places: np.ndarray) -> np.ndarray:
        """Return the accuracy at these places, on straight lines between the evaluations."""
        if self.failed:
            return np.full(len(places), self.accuracy[0])
        return np.interp(places, self.at[clock], self.accuracy)


@dataclass(frozen=True, eq=False)
class LeadCurve:
    """Treatment minus control along one clock: seed -> differences at the places, their means over units.

    band: None where no interval may be shown. images: the validation images of each run.
    """

    contrast: Contrast
    clock: str
    places: np.ndarray
    runs: Mapping[int, np.ndarray]
    failed: frozenset[int]
    unit: ReplicationUnit
    mean: np.ndarray
    band: Band | None
    images: tuple[int, ...]

    @cached_property
    def changes(self) -> list[float]:
        """Where the mean difference changes its sign."""
        return find_sign_changes(self.places.tolist(), self.mean.tolist())

    @cached_property
    def undecided(self) -> list[Span]:
        """The confidence set of a change of the lead: where the simultaneous band contains 0."""
        if self.band is None:
            return [self.range]
        return find_undecided(self.places.tolist(), self.band.low.tolist(), self.band.high.tolist())

    @property
    def range(self) -> Span:
        """The first place and the last."""
        return float(self.places[0]), float(self.places[-1])

    @cached_property
    def ahead(self) -> list[int]:
        """For each place 1 where the treatment leads, -1 where the control does, 0 where it is open."""
        if self.band is None:
            return [0] * len(self.places)
        return [int(low > 0) - int(high < 0) for low, high in zip(self.band.low, self.band.high, strict=True)]

    @property
    def crosses(self) -> bool:
        """Whether each arm is shown to lead somewhere."""
        return {1, -1} <= set(self.ahead)


@dataclass(frozen=True, eq=False)
class Crossover:
    """One contrast by its clocks.

    seconds: the shortest and the longest training of treatment and of control, of runs that finished.
    no_seconds: why there is no panel in seconds.
    """

    contrast: Contrast
    curves: tuple[LeadCurve, ...]
    seconds: tuple[Span, ...]
    no_seconds: str = ""


def find_crossovers(results: Results, partial: bool) -> list[Crossover]:
    """Return the first declared contrasts of two arms whose runs were all evaluated on their way."""
    primary = results.study.primary_contrasts
    crossovers = (_crossover(results, contrast, partial) for contrast in primary)
    return [crossover for crossover in crossovers if crossover is not None][:MOST]


def _crossover(results: Results, contrast: Contrast, partial: bool) -> Crossover | None:
    cells = [results.where(levels) for levels in corners(contrast)]
    if len(cells) != 2 or not all(side["seed"].is_unique for side in cells):
        return None
    pairs = _pairs(results, contrast, cells)
    if not pairs:
        return None
    used = {cell: results.records[cell] for side in cells for cell in side["cell"] if cell in results.records}
    mixed = "; ".join(mixed_hardware(used))
    rates = {record.settings.batch_size for record in used.values()}
    clocks = [STEPS if len(rates) == 1 else IMAGES, *([] if mixed else [SECONDS])]
    by_clock = [_lead_curve(results, contrast, clock, pairs, partial) for clock in clocks]
    curves = tuple(curve for curve in by_clock if curve is not None)
    apart = "" if by_clock[-1] or mixed else "no second lies within the curves of both arms"
    return Crossover(contrast, curves, tuple(_seconds(pairs)), mixed or apart) if curves else None


def _seconds(pairs: Pairs) -> Iterator[Span]:
    for side in zip(*pairs.values(), strict=True):
        took = [float(curve.at[SECONDS][-1]) for curve in side if not curve.failed]
        yield (min(took), max(took)) if took else (math.nan, math.nan)


def _pairs(results: Results, contrast: Contrast, cells: Sequence[pd.DataFrame]) -> Pairs:
    """Return seed -> both curves, of seeds with both outcomes; nothing where one cannot be read."""
    sides: list[dict[int, Curve]] = []
    for frame in cells:
        ended = frame[frame["ended"].astype(bool) & frame["seed"].isin(results.seeds_of(contrast))]
        rows = ended.to_dict("records")
        read = {int(row["seed"]): _curve(results.records[row["cell"]], row) for row in rows}
        sides.append({seed: curve for seed, curve in read.items() if curve is not None})
        if len(sides[-1]) < len(read):
            return {}
    return {seed: (curve, sides[1][seed]) for seed, curve in sides[0].items() if seed in sides[1]}


def _curve(record: Attempt, row: Mapping[Any, Any]) -> Curve | None:
    """Return the curve of one cell; None where it holds none, or one that cannot be of a whole run."""
    if row["failed"]:
        chance = float(row["val_acc"])
        return Curve({}, np.array([chance]), 0, failed=True) if math.isfinite(chance) else None
    spent, evaluations = record.spent, record.measured.val_curve or []
    if len(evaluations) < 2 or not _whole(evaluations, spent):
        return None
    steps = np.array([evaluation[0] for evaluation in evaluations], dtype=float)
    images = record.settings.val_per_class * (record.measured.classes or 0)
    scale = {IMAGES: spent.examples, SECONDS: spent.train_s}
    at = {STEPS: steps} | {clock: steps * (total / spent.steps) for clock, total in scale.items()}
    return Curve(at, np.array([evaluation[1] for evaluation in evaluations], dtype=float), images)


def _whole(evaluations: Sequence[Sequence[Any]], spent: Spent) -> bool:
    """Say whether the steps rise up to the last one."""
    if not (spent.steps and spent.examples and spent.train_s):
        return False
    steps = [0, *(evaluation[0] for evaluation in evaluations)]
    rising = all(one < other for one, other in pairwise(steps))
    return rising and steps[-1] == spent.steps


def _lead_curve(
    results: Results, contrast: Contrast, clock: str, pairs: Pairs, partial: bool
) -> LeadCurve | None:
    places = _places([curve for pair in pairs.values() for curve in pair if not curve.failed], clock)
    if places is None:
        return None
    runs = {seed: one.over(clock, places) - two.over(clock, places) for seed, (one, two) in pairs.items()}
    unit = unit_of_contrast(results, contrast)
    table = np.array([unit.means({seed: run[t] for seed, run in runs.items()}) for t in range(len(places))]).T
    rule = results.inference
    shown = (results.sound or partial) and not (unit.problem or rule.sequence) and len(table) >= MIN_UNITS
    return LeadCurve(
        contrast=contrast,
        clock=clock,
        places=places,
        runs=runs,
        failed=frozenset(seed for seed, pair in pairs.items() if any(curve.failed for curve in pair)),
        unit=unit,
        mean=table.mean(axis=0),
        band=simultaneous_band(table, rule.level, unit=unit.name) if shown else None,
        images=tuple(sorted({c.images for pair in pairs.values() for c in pair if not c.failed})),
    )


def _places(curves: Iterable[Curve], clock: str) -> np.ndarray | None:
    """Return where all were evaluated; else as many places as a curve has, even over the range of all."""
    points = [curve.at[clock] for curve in curves]
    if not points:
        return None
    if all(np.array_equal(one, points[0]) for one in points):
        return points[0]
    low, high = max(one[0] for one in points), min(one[-1] for one in points)
    return np.linspace(low, high, min(map(len, points))) if low < high else None


def find_sign_changes(xs: Sequence[float], mean: Sequence[float]) -> list[float]:
    """Return the places where a curve changes its sign; of a stretch at 0 between two signs its middle."""
    signed = [index for index, value in enumerate(mean) if value]
    places = []
    for one, other in pairwise(signed):
        if (mean[one] < 0) != (mean[other] < 0):
            between = xs[one + 1 : other]
            places.append(
                (between[0] + between[-1]) / 2
                if between
                else xs[one] + (xs[other] - xs[one]) * mean[one] / (mean[one] - mean[other])
            )
    return places


def find_undecided(xs: Sequence[float], low: Sequence[float], high: Sequence[float]) -> list[Span]:
    """Return the places where a band contains 0.

    Where the limits hold at all points at once, they hold on the lines between them too. The places then
    hold every sign change of the true curve, straight between the same points, with the band's confidence.
    """
    lows, highs = ([min(max(value, -_FAR), _FAR) for value in side] for side in (low, high))
    spans = []
    for (x0, low0, high0), (x1, low1, high1) in pairwise(zip(xs, lows, highs, strict=True)):
        start, end = _below(low0, low1), _below(-high0, -high1)
        if start and end and max(start[0], end[0]) <= min(start[1], end[1]):
            at, to = max(start[0], end[0]), min(start[1], end[1])
            spans.append((x0 + at * (x1 - x0), x0 + to * (x1 - x0)))
    return merge_spans(spans)


def _below(first: float, last: float) -> Span | None:
    """Return where a line over [0, 1] is at most 0."""
    if first > 0 and last > 0:
        return None
    if first <= 0 and last <= 0:
        return 0.0, 1.0
    root = first / (first - last)
    return (root, 1.0) if first > 0 else (0.0, root)


def merge_spans(spans: Iterable[Span]) -> list[Span]:
    """Return the spans, those that touch as one."""
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span[0] <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], span[1])
        else:
            merged.append(span)
    return merged


def find_gaps(spans: Sequence[Span], low: float, high: float) -> list[Span]:
    """Return what the spans leave of a range."""
    edges = [low, *(edge for span in spans for edge in span), high]
    return [(at, to) for at, to in zip(edges[::2], edges[1::2], strict=True) if at < to]
