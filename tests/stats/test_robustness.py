"""The range of settings within a point of the best: by hand, at edges, with gaps and ties."""

import math

import pytest

from fairtrial.stats import plateau

RATES = (0.01, 0.1, 1.0, 10.0)


def test_the_range_ends_where_straight_lines_over_the_logarithm_cross_the_limit():
    # floor .95: between .1 (.90) and 1 (.96) five sixths of the way up, between 1 and 10 (.94) half-way down
    got = plateau(RATES, (0.50, 0.90, 0.96, 0.94))
    assert got.low == pytest.approx(10 ** (-1 + 5 / 6))
    assert got.high == pytest.approx(10**0.5)
    assert got.width == pytest.approx(1 / 6 + 1 / 2)
    assert got.factor == pytest.approx(10 ** (2 / 3))
    assert not got.at_low and not got.at_high


def test_a_range_that_reaches_an_end_of_the_grid_stops_there_and_says_so():
    got = plateau(RATES, (0.50, 0.90, 0.955, 0.96))
    assert (got.high, got.at_high, got.at_low) == (10.0, True, False)
    assert got.width == pytest.approx(1 + 5 / 55)
    whole = plateau(RATES, (0.96, 0.96, 0.96, 0.96))
    assert (whole.low, whole.high, whole.at_low, whole.at_high) == (0.01, 10.0, True, True)
    assert whole.width == pytest.approx(3)


def test_a_score_exactly_within_is_inside():
    assert plateau((1.0, 10.0), (0.95, 0.94)).at_high  # .95 - .01 is not .94 in binary


def test_the_range_is_unbroken_and_ties_go_to_the_smaller_value():
    got = plateau(RATES, (0.96, 0.80, 0.96, 0.96))
    assert got.at_low
    assert got.high == pytest.approx(10 ** (-2 + 1 / 16))


def test_how_close_is_close_can_be_chosen():
    assert plateau(RATES, (0.50, 0.90, 0.96, 0.94), within=0.06).low == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("values", "scores", "says"),
    [
        ((0.1, 1.0), (0.5,), "2 values and 1 scores"),
        ((), (), "0 values"),
        ((0.0, 1.0), (0.5, 0.6), "above 0 and ascending"),
        ((1.0, 0.1), (0.5, 0.6), "above 0 and ascending"),
        ((0.1, 1.0), (0.5, math.nan), "finite"),
    ],
)
def test_what_is_no_curve_is_refused(values, scores, says):
    with pytest.raises(ValueError, match=says):
        plateau(values, scores)
