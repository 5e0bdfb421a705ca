"""Variance components by hand."""

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
