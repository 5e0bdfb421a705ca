"""Names of arms and marks of points: however long the names are, the panels keep their room."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from fairtrial.reporting.figures.curves import name_ends
from fairtrial.reporting.figures.figure_files import styled
from fairtrial.reporting.figures.figure_layout import Axis
from fairtrial.reporting.figures.gain_panels import SETTLED
from fairtrial.reporting.figures.style import look_of_norm, looks
from fairtrial.reporting.report.figure_registry import figures_of
from fairtrial.reporting.verdicts.study_verdicts import judge_study
from fairtrial.storage.store import Store

RELEASED = Path(__file__).parents[3] / "results" / "released"
LONG = "bn, timm:tf_efficientnet_lite0, 64 px, from file:efficientnet-lite0"


@cache
def drawn(study):
    """Every figure of a released study, laid out: name -> (caption, figure)."""
    with styled():
        found = {
            name: (text, figure) for name, text, figure in figures_of(judge_study(Store(RELEASED / study)))
        }
        for _, figure in found.values():
            figure.draw_without_rendering()
    return found


def share(figure):
    """Of the width of a figure, that of the panels of its first row."""
    first = [ax for ax in figure.axes if ax.get_subplotspec().rowspan.start == 0]
    return sum(ax.get_position().width for ax in first)


@pytest.mark.parametrize("study", ["public-weights", "ladder", "bn-modes"])
def test_panels_keep_more_than_half_of_a_figure_however_long_the_names_are(study):
    """Names of 66 letters beside the panels of `public-weights` left them a fifth of the width."""
    shares = {name: round(share(figure), 2) for name, (_, figure) in drawn(study).items()}
    assert len(shares) > 3 and min(shares.values()) > 0.45, shares


@pytest.mark.parametrize("study", ["public-weights", "ladder"])
def test_every_name_stands_inside_its_figure(study):
    outside = []
    for name, (_, figure) in drawn(study).items():
        wide, high = (side * figure.dpi for side in figure.get_size_inches())
        names = [text for ax in figure.axes for text in (*ax.texts, *ax.get_yticklabels())]
        names += [text for legend in figure.legends for text in legend.get_texts()]
        for text in names:
            letters = any(letter.isalpha() for letter in text.get_text())  # no ticks beyond the axis
            box = text.get_window_extent() if letters else None
            if box is not None and (box.x0 < -1 or box.y0 < -1 or box.x1 > wide + 1 or box.y1 > high + 1):
                outside.append((name, text.get_text()))
    assert not outside


def test_lines_of_several_panels_stand_once_in_one_legend_and_the_figure_grows_by_it():
    with styled():
        figure = Figure(figsize=(7, 2.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        ends = [(f"{LONG}, {number}", 0.5, look_of_norm("bn")) for number in range(3)]
        name_ends(ends[:2], left)
        name_ends(ends[1:], right)
        (legend,) = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == [name for name, _, _ in ends]
        figure.draw_without_rendering()
    box = legend.get_window_extent()
    assert left.get_position().height * figure.get_figheight() > 0.7 * 2.6
    assert box.x1 <= 7 * figure.dpi and box.height / figure.dpi == pytest.approx(
        figure.get_figheight() - 2.6, abs=0.15
    )


def test_short_names_stand_at_their_lines():
    figure = Figure(figsize=(7, 2.6))
    panels = figure.subplots(1, 3)
    for ax in panels:
        name_ends([("gn+ws", 0.5, look_of_norm("gn+ws"))], ax)
    assert not figure.legends and all(ax.texts[0].get_text() == "gn+ws" for ax in panels)


def test_names_of_one_colour_have_a_piece_of_their_line():
    """Names are as dark as their norm: 'mixup off' and 'mixup 0.1' at one end could not be told apart."""
    tints = looks([{"norm": "gn", "weight_std": True, "mixup": alpha} for alpha in (0.0, 0.1)])
    others = looks([{"norm": norm, "weight_std": False} for norm in ("bn", "gn")])
    for styles, pieces in ((tints, 2), (others, 0)):
        ax = Figure(figsize=(7, 2.6)).subplots()
        name_ends([(f"line {number}", 0.5, look) for number, look in enumerate(styles)], ax)
        stubs = [text.arrow_patch for text in ax.texts if text.arrow_patch is not None]
        assert [to_hex(one.get_edgecolor()) for one in stubs] == [look.color for look in styles][:pieces]


@pytest.mark.parametrize("columns", [1, 4])
def test_the_runs_stand_beside_their_mean_and_not_on_it_in_a_narrow_panel_too(columns):
    """In four panels of `mixup-dose` they lay on the bars of their intervals."""
    ax = Figure(figsize=(7, 2.6)).subplots(1, columns, squeeze=False)[0][0]
    where = Axis("shots", (20, 100), ax)
    reach = where.at[100] - where.at[20]
    assert 0.05 < where.places([20, 100], 0, 1).aside / reach * 0.8 * 7 / columns < 0.1  # inches


@pytest.mark.parametrize("study", ["shots", "bn-modes", "ladder", "public-weights"])
def test_a_hollow_mark_means_one_thing_and_its_caption_says_it(study):
    """It was a paler arm in one figure, a step left out in the next, an interval over 0 in the third."""
    for name, (caption, figure) in drawn(study).items():
        faces = [
            line.get_markerfacecolor()
            for ax in figure.axes
            for line in ax.lines
            if line.get_marker() not in ("None", "", None, "x") and len(line.get_xdata())
        ]
        hollow = [face for face in faces if not isinstance(face, str) or face != "none"]
        hollow = [face for face in hollow if to_rgb(face) == (1, 1, 1)]
        assert (SETTLED in caption) or not hollow, name
        assert "hollow" not in caption.replace(SETTLED, ""), name
