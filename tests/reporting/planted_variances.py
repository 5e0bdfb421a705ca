"""Studies with a known part of each source of spread, and their table."""

from __future__ import annotations

import numpy as np

from fairtrial.reporting.tables.variance_table import variance_tables
from fairtrial.study.study import Contrast
from tests.reporting.judging import recorded_bits

IMAGES = 83  # no multiple of 8: the last byte is filled up
PLAIN = {
    "factors": {"norm": ("bn", "gn")},
    "fixed": {"shots": 10},
    "primary": Contrast("n", {"norm": "gn"}, {"norm": "bn"}),
    "aa": {"norm": "gn"},
}
TRANSFER = {"aa": {"finetune": "full", "shots": 5}}


def draw(*words):
    """A standard normal draw that belongs to these words."""
    return float(np.random.default_rng([*words]).normal())


def planted(cell, *, checkpoint=0.0, subset=0.02, draws=0.01, outer=3):
    """A score with a known part of each source."""
    return (
        0.5
        + checkpoint * draw(1, cell.seed % outer)
        + subset * draw(2, cell.seed)
        + draws * draw(3, cell.seed, cell.replica)
    )


def sized(results, **how):
    (made,) = variance_tables(results, **how)
    return made, made.frame.set_index("source")


def right(cell):
    """Which images a run gets right: some are hard for all."""
    hard = np.random.default_rng(7).random(IMAGES)
    return np.random.default_rng([int(cell.id, 16)]).random(IMAGES) < 0.3 + 0.6 * hard


def recorded(cell, n=IMAGES):
    """What a run records that saw the first n images."""
    return recorded_bits(right(cell)[:n])
