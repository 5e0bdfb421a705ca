"""Where swept levels stand, and where an axis is broken."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from fairtrial.reporting.figures.figure_layout import Axis, positions


def test_levels_stand_at_their_logarithm_or_one_after_the_other():
    assert positions([4, 16, 64]) == [2.0, 4.0, 6.0]
    assert positions([0.0, 0.1, 0.4]) == [0.0, 1.0, 2.0]
    assert positions([1, 5, "all"]) == [0.0, 1.0, 2.0]


def test_few_shot_counts_are_linear_up_to_ten_then_broken():
    where = positions([*range(1, 11), 25, 100, "all"])
    assert where[:10] == [float(k) for k in range(1, 11)]
    assert 10 < where[10] < where[11] < where[12] and where[11] - where[10] == pytest.approx(where[10] - 10)


def test_ten_counts_alone_are_linear_and_whole():
    assert positions(range(1, 11)) == [float(k) for k in range(1, 11)]


@pytest.mark.parametrize("levels", [range(1, 11), (1, 2, 5, 10, 25, 100), (1, 2, 4, 6, 8, 16)])
def test_an_axis_without_a_leap_is_whole(levels):
    ax = Figure().subplots()
    Axis("shots", levels).join([0.0, 1.0, 9.0], [0.0, 1.0, 2.0], ax)
    assert len(ax.lines) == 1


def test_a_line_is_faint_where_it_crosses_the_break():
    ax, axis = Figure().subplots(), Axis("shots", [*range(1, 11), 25, 100])
    axis.join(axis.places([9, 10, 25, 100], 0, 1).xs, [1.0, 2.0, 3.0, 4.0], ax, linewidth=1)
    near, far, bridge = ax.lines
    assert [list(line.get_ydata()) for line in (near, far, bridge)] == [[1, 2], [3, 4], [2, 3]]
    assert bridge.get_linewidth() < near.get_linewidth() == far.get_linewidth()


@pytest.mark.parametrize("lines", [1, 2, 4, 12])
def test_lines_stand_beside_their_level_and_never_reach_the_next(lines):
    axis = Axis("shots", list(range(1, 11)))
    places = [axis.places([5], rank, lines).xs[0] for rank in range(lines)]
    assert sum(places) / lines == pytest.approx(5.0)
    assert max(places) - min(places) < 0.75
    assert places == sorted(places) and len(set(places)) == lines
