"""The quadrature against scipy's t, scipy's noncentral t and plain integration."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from fairtrial.stats.noncentral import chi_nodes, critical, two_sided_power, upper_tail

DFS = (1, 2, 3, 4, 9, 19, 99, 999, 1998)


@pytest.mark.parametrize("df", DFS)
@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.05 / 3, 0.001, 1e-6])
def test_the_critical_value_is_scipys(df, alpha):
    assert critical(alpha, df) == pytest.approx(stats.t.isf(alpha / 2, df), rel=1e-10)


@pytest.mark.parametrize("df", DFS)
@pytest.mark.parametrize("nc", [0.1, 1, 2.5, 5, 10, 20, 40])
def test_the_power_is_scipys_noncentral_t(df, nc):
    t = stats.t.isf(0.025, df)
    want = stats.nct.sf(t, df, nc) + np.nan_to_num(stats.nct.cdf(-t, df, nc))
    assert two_sided_power(0.05, df, nc) == pytest.approx(want, abs=1e-8)


@pytest.mark.parametrize(
    ("t", "df", "nc"), [(2.0, 3, 1.0), (-1.5, 5, -2.0), (10, 2, 8.0), (0.3, 1, 0.2), (-3, 40, 1)]
)
def test_a_tail_is_the_integral_over_the_scale(t, df, nc):
    def mass(s):
        return stats.chi.pdf(s * math.sqrt(df), df) * math.sqrt(df) * stats.norm.sf(t * s - nc)

    want = quad(mass, 0, 1, epsabs=1e-13)[0] + quad(mass, 1, 12, epsabs=1e-13)[0]
    assert upper_tail(t, df, nc) == pytest.approx(want, abs=1e-11)


@pytest.mark.parametrize("df", DFS)
def test_the_nodes_reproduce_the_moments_of_chi(df):
    s, weight = map(np.array, zip(*chi_nodes(df, 0.0), strict=True))
    assert weight.sum() == pytest.approx(1, abs=1e-13)
    assert weight @ s**2 == pytest.approx(1, abs=1e-12)
    assert weight @ s == pytest.approx(stats.chi.mean(df) / math.sqrt(df), abs=1e-9)


def test_the_far_tail_that_scipy_returns_as_nan_is_nothing():
    assert upper_tail(2.776, 8, -38) == pytest.approx(0, abs=1e-15)
