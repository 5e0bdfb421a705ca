"""Wrong methods that people use: each must fall out of the window of what it claims."""

from itertools import product

import numpy as np

from fairtrial import stats
from tests.calibration.claims import ALPHA, AT_95, RESAMPLED, Check, covers, misses, of_rows
from tests.calibration.coverage_claims import curves, nested

_Z = 1.959963984540054
_RESAMPLES = np.array(list(product(range(5), repeat=5)))  # all 3 125 of five values


def z_interval(rng, draws):
    """The normal quantile instead of t, with the standard error of the library."""
    fits = map(stats.mean_interval, rng.normal(size=(draws, 5)))
    return np.array([abs(fit.estimate) <= _Z * fit.se for fit in fits])


def percentile_bootstrap(rng, draws):
    """The percentiles of the means of all resamples of five values."""

    def holds(x):
        low, high = np.quantile(x[_RESAMPLES].mean(axis=1), [0.025, 0.975])
        return low <= 0 <= high

    return of_rows(holds, rng.normal(size=(draws, 5)))


def pooled(rng, draws):
    """4 subsets in 3 orders each, read as 12 units."""
    runs = nested(rng, draws, 4, 3).reshape(draws, 12)
    return of_rows(lambda x: covers(stats.mean_interval(x), 0), runs)


def one_checkpoint(rng, draws):
    """One checkpoint per arm, its ten fine-tunings read as n = 10; equal sd at both levels."""
    a, b = rng.normal(size=(2, draws, 1)) + rng.normal(size=(2, draws, 10))
    return of_rows(lambda x, y: misses(stats.welch_interval(x, y)), a, b)


def pointwise(rng, draws):
    """The pointwise limits, read as if they held the whole curve."""
    bands = map(stats.simultaneous_band, curves(rng, draws))
    return np.array([np.all((each.pointwise_low <= 0) & (each.pointwise_high >= 0)) for each in bands])


CONTROLS = (
    Check("z at n = 5", AT_95, z_interval, known=0.88),
    Check("percentile bootstrap at n = 5", AT_95, percentile_bootstrap, RESAMPLED, 0.84),
    Check("4 subsets x 3 orders read as 12", AT_95, pooled, known=0.70),
    Check("one checkpoint per arm, 10 fine-tunings", (ALPHA, ALPHA), one_checkpoint, known=0.53),
    Check("pointwise band read as simultaneous", (0.95, 1.0), pointwise, known=0.77),
)
