"""How long whole tables take: one row per contrast, every kind of interval."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np

from fairtrial import stats
from fairtrial.rng import ROOT

ROWS: Final = 100_000
_N: Final = 10


def kinds(rows: int) -> dict[str, Callable[[], object]]:
    """The name of each kind of interval, and a call that makes `rows` of them, n = 10."""
    rng = np.random.default_rng(ROOT)
    a, b, c, d = 1 + rng.random((4, rows, _N))
    counts = rng.integers(0, 1001, size=rows)
    return {
        "mean": lambda: stats.mean_intervals(a),
        "paired": lambda: stats.paired_intervals(a, b),
        "Welch": lambda: stats.welch_intervals(a, b),
        "ratio": lambda: stats.ratio_intervals(a, b),
        "interaction": lambda: stats.interaction_intervals(a, b, c, d),
        "median": lambda: stats.median_intervals(a),
        "Wilson": lambda: stats.wilson_intervals(counts, 1000),
        "Clopper-Pearson": lambda: stats.clopper_pearson_intervals(counts, 1000),
        "TOST": lambda: stats.tosts(a - b, margin=0.1),
    }


def measure(rows: int = ROWS) -> dict[str, float]:
    """Seconds of each kind."""
    found = {}
    for name, call in kinds(rows).items():
        start = time.perf_counter()
        call()
        found[name] = time.perf_counter() - start
    return found
