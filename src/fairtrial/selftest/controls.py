"""Wrong methods that people use: each must fall out of the window of what it claims."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np

from fairtrial import stats
from fairtrial.selftest.coverage import AT_95, covers, curves, nested
from fairtrial.selftest.errors import ALPHA, misses
from fairtrial.selftest.harness import RESAMPLED, Check

Rng = np.random.Generator
_Z: Final = 1.959963984540054


def z_interval(rng: Rng, draws: int) -> np.ndarray:
    """The normal quantile instead of t, with the standard error of the library."""
    found = stats.mean_intervals(rng.normal(size=(draws, 5)))
    return np.abs(found.estimate) <= _Z * found.se


def bootstrap(rng: Rng, draws: int, method: str) -> np.ndarray:
    """All 3 125 resamples of five values."""
    how: dict[str, Any] = {"method": method, "resamples": "exact"}
    return np.array([covers(stats.bootstrap_interval(row, **how), 0) for row in rng.normal(size=(draws, 5))])


def pooled(rng: Rng, draws: int) -> np.ndarray:
    """4 subsets in 3 orders each, read as 12 units."""
    return covers(stats.mean_intervals(nested(rng, draws, 4, 3).reshape(draws, 12)), 0)


def one_checkpoint(rng: Rng, draws: int) -> np.ndarray:
    """One checkpoint per arm, its ten fine-tunings read as n = 10; equal sd at both levels."""
    a, b = rng.normal(size=(2, draws, 1)) + rng.normal(size=(2, draws, 10))
    return misses(stats.welch_intervals(a, b))


def pointwise(rng: Rng, draws: int) -> np.ndarray:
    """The pointwise limits, read as if they held the whole curve."""
    found = stats.simultaneous_bands(curves(rng, draws))
    return np.all((found.pointwise_low <= 0) & (found.pointwise_high >= 0), axis=1)


CONTROLS: Final = (
    Check("z at n = 5", AT_95, z_interval, known=0.88),
    Check("percentile bootstrap at n = 5", AT_95, partial(bootstrap, method="percentile"), RESAMPLED, 0.84),
    Check("BCa bootstrap at n = 5", AT_95, partial(bootstrap, method="bca"), RESAMPLED, 0.84),
    Check("4 subsets x 3 orders read as 12", AT_95, pooled, known=0.70),
    Check("one checkpoint per arm, 10 fine-tunings", (ALPHA, ALPHA), one_checkpoint, known=0.53),
    Check("pointwise band read as simultaneous", (0.95, 1.0), pointwise, known=0.77),
)
