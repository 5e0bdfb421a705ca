"""Names at an axis, and of axes, stand side by side, however many levels or rates a study has."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from fairtrial.reporting.figures.figure_files import styled
from fairtrial.reporting.figures.sensitivity import _ticks_of
from fairtrial.reporting.report.figure_registry import figures_of
from fairtrial.reporting.verdicts.study_verdicts import judge_study
from fairtrial.storage.store import Store

RELEASED = Path(__file__).parents[3] / "results" / "released"


def joined(axis, room: float) -> list[tuple[str, str]]:
    """Pairs of names on one axis that run into each other. room: pixels that stand between two."""
    labels = [label for label in axis.get_ticklabels() if label.get_text() and label.get_visible()]
    boxes = [(label.get_text(), label.get_window_extent().padded(room / 2)) for label in labels]
    return [(a, b) for (a, first), (b, second) in combinations(boxes, 2) if first.overlaps(second)]


def joined_labels(figure) -> list[tuple[str, str]]:
    """Pairs of labels of axes that run into each other."""
    labels = [label for ax in figure.axes for label in (ax.xaxis.label, ax.yaxis.label) if label.get_text()]
    boxes = [(label.get_text(), label.get_window_extent().padded(2)) for label in labels]
    return [(a, b) for (a, first), (b, second) in combinations(boxes, 2) if first.overlaps(second)]


@pytest.mark.parametrize("study", ["shots-curve", "bn-modes"])
def test_no_names_at_an_axis_run_into_each_other(study):
    """At nine rates in four panels, `shots-curve` said 0.0001110010.010.1."""
    found = {}
    with styled():
        for name, _, figure in figures_of(judge_study(Store(RELEASED / study))):
            figure.draw_without_rendering()
            found[name] = [pair for ax in figure.axes for pair in joined(ax.xaxis, 2) + joined(ax.yaxis, 0)]
            found[name] += joined_labels(figure)
    assert len(found) > 3 and not any(found.values()), found


def test_rates_are_named_from_the_first_on_as_many_as_fit():
    grid = [0.000111, 0.000333, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]
    assert _ticks_of(grid, 4) == [0.000111, 0.01, 1.0]
    assert _ticks_of(grid, 2) == [0.000111, 0.001, 0.01, 0.1, 1.0]
    assert _ticks_of(grid[2:], 2) == grid[2:]
    assert _ticks_of(grid, 40) == [0.000111, 1.0]
