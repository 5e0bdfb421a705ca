"""What the statistics tests share: the worked data, random data sets, and the window of a coverage check."""

import numpy as np
import pytest
from scipy.stats import binom


@pytest.fixture
def worked():
    """The arms A and B of STATISTICS.md, section 15, by seed."""
    a = [86.10, 87.40, 85.20, 88.00, 86.90, 87.70, 84.80, 86.50, 87.10, 85.90]
    b = [84.90, 86.85, 85.05, 86.40, 86.17, 87.93, 83.62, 85.21, 86.60, 84.74]
    return dict(enumerate(a)), dict(enumerate(b))


@pytest.fixture
def pairs_of_samples():
    """200 pairs (a, b) of equal length 3 to 30, with sizes and spreads over several orders of magnitude."""
    rng = np.random.default_rng(20240101)
    sizes = rng.integers(3, 31, size=200)
    scales = 10.0 ** rng.uniform(-3, 3, size=200)
    shared = [rng.normal(size=n) for n in sizes]
    return [
        (s * (5 + x + rng.normal(size=n)), s * (4.5 + x + 2 * rng.normal(size=n)))
        for n, s, x in zip(sizes, scales, shared, strict=True)
    ]


@pytest.fixture
def is_rate():
    """True when `hits` of `draws` agrees with a true rate, by the 1e-4 binomial window of section 14."""

    def check(hits, draws, rate):
        low, high = binom.ppf([5e-5, 1 - 5e-5], draws, rate)
        return bool(low <= hits <= high)

    return check
