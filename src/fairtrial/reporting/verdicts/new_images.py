"""What a contrast says of new images: its units crossed with the images of the test set."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from fairtrial.reporting.results.load import Results
from fairtrial.reporting.results.replication_units import ReplicationUnit
from fairtrial.reporting.verdicts.rulings import Finding
from fairtrial.stats import variance_components
from fairtrial.stats.components import VarianceComponents
from fairtrial.storage.record import Measured
from fairtrial.study.contrast import corners
from fairtrial.study.limits import MIN_UNITS

_SIGNS = {2: (1, -1), 4: (1, -1, -1, 1)}


def over_new_images(results: Results, finding: Finding) -> VarianceComponents | None:
    """Return the contrast over units x test images (STATISTICS 10), or None.

    Per unit and image: the difference of being right, averaged over what the contrast averages over; images
    are thus paired too. None where there is no interval, where accuracy is not the metric, where a run has no
    record of single images (a failed one has none), or where runs saw test sets of different sizes.
    """
    if finding.interval is None or finding.contrast.metric != "test_acc" or finding.n < MIN_UNITS:
        return None
    sides = [right(results, levels) for levels in corners(finding.contrast)]
    seeds = list(finding.differences)
    if any(seed not in side for side in sides for seed in seeds):
        return None
    if len({len(side[seed]) for side in sides for seed in seeds}) != 1:
        return None
    signs = np.array(_SIGNS[len(sides)])
    by_seed = {seed: signs @ np.array([side[seed] for side in sides]) for seed in seeds}
    return variance_components(by_unit(finding.unit, by_seed), rows=finding.unit.name, cols="image")


def right(results: Results, levels: Mapping[str, Any], replica: int = 0) -> dict[int, np.ndarray]:
    """Return seed -> per image, the share of its runs that were right; seeds whose runs all recorded it."""
    runs: defaultdict[int, list[np.ndarray | None]] = defaultdict(list)
    for seed, cell in results.where(levels, replica)[["seed", "cell"]].itertuples(index=False):
        record = results.records.get(cell)
        runs[int(seed)].append(None if record is None else _bits(record.measured))
    whole = {seed: [run for run in of_seed if run is not None] for seed, of_seed in runs.items()}
    return {
        seed: np.mean(of_seed, axis=0)
        for seed, of_seed in whole.items()
        if len(of_seed) == len(runs[seed]) and len({len(run) for run in of_seed}) == 1
    }


def _bits(measured: Measured) -> np.ndarray | None:
    """Return one 0 or 1 per test image."""
    if not measured.correct:
        return None
    packed = np.frombuffer(base64.b64decode(measured.correct), np.uint8)
    return np.unpackbits(packed, count=measured.test_n).astype(float)


def by_unit(unit: ReplicationUnit, by_seed: Mapping[int, np.ndarray]) -> np.ndarray:
    """Return the mean over the seeds of each unit, as (units, images)."""
    labels = unit.labels(by_seed) or {seed: seed for seed in by_seed}
    members: defaultdict[int, list[np.ndarray]] = defaultdict(list)
    for seed, row in by_seed.items():
        members[labels[seed]].append(row)
    return np.array([np.mean(rows, axis=0) for rows in members.values()])
