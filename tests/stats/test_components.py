"""Variance components by hand."""

import numpy as np
import pytest

from fairtrial.stats import nested_components, variance_components


def test_components_of_a_table_by_hand():
    got = variance_components([[1, 2], [3, 6]])  # row means 1.5 4.5, column means 2 4, residuals +-0.5
    assert (got.ms_row, got.ms_col, got.ms_res) == pytest.approx((9, 4, 1))
    assert (got.var_row, got.var_col, got.var_res) == pytest.approx((4, 1.5, 1))
    assert got.se_new_images == pytest.approx((12 / 4) ** 0.5)


def test_components_of_groups_by_hand():
    got = nested_components([[0, 2], [4, 6]])  # means 1 and 5, variance 2 inside each
    assert (got.ms_between, got.ms_within, got.var_between) == pytest.approx((16, 2, 7))


def tilted(tilt):
    """Rows and columns that differ less than what is left does."""
    checks = np.indices((4, 50)).sum(axis=0) % 2 - 0.5
    rows, cols = np.indices((4, 50)) - np.array([1.5, 24.5])[:, None, None]
    return checks + tilt * (0.0645 * rows + 0.0144 * cols)


@pytest.mark.parametrize("tilt", [0.5, 0.80655, 0.95, 1.2])
def test_a_sum_near_zero_does_not_leave_limits_without_freedom(tilt):
    """weight-decay's table said of new images: -972147.3 to 972147.4 points."""
    got = variance_components(tilted(tilt))
    assert min(got.ms_row, got.ms_col) < got.ms_res  # at 0.80655 the sum is 0.00006
    parts = got.var_row / 4 + got.var_col / 50 + got.var_res / 200
    assert got.se_new_images == pytest.approx(parts**0.5)
    assert got.df_new_images == (3 if got.ms_row > got.ms_res else 147)
    assert got.high_new_images < 0.2


@pytest.mark.parametrize("seed", range(20))
def test_new_images_never_have_fewer_degrees_of_freedom_than_a_third_of_the_shorter_side(seed):
    table = np.random.default_rng(seed).choice([-1.0, 0.0, 1.0], size=(5, 40), p=[0.1, 0.8, 0.1])
    assert variance_components(table).df_new_images >= 4 / 3
