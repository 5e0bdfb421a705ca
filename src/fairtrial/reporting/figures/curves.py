"""A metric against a swept number, one line per arm; or the arms side by side where no number is swept."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fairtrial.reporting.figures.figure_layout import Axis, Places
from fairtrial.reporting.figures.style import ALARM, PAGE, QUIET, Look, looks, spread
from fairtrial.reporting.results.arms import Group
from fairtrial.reporting.wording import Scale, clean
from fairtrial.study import factors

LINE = 0.125  # inches that a line of text takes
_BESIDE: Final = 0.25  # of the width of a panel: the most that the names at its right may take
_SHORT: Final = 0.8  # inches of a name that stands beside a panel of any width
_LETTER: Final = 0.07  # inches of one, bold
_SMALL: Final = 6.5  # points of the letters of a legend
_SMALL_LETTER: Final = 0.056  # inches of one
_STUB: Final = 13  # points of a line beside its name
_HANDLE: Final = 0.55  # inches of a column of a legend beside its names
_ASIDE = 0.05  # the runs stand this far left of their mean where arms stand side by side


def curves(
    groups: Sequence[Group],
    axis: str,
    scale: Scale,
    chance: float | None,
    ax: Axes,
    view: tuple[float, float] | None = None,
) -> Axes:
    """Draw one line per arm over the levels of `axis`, each with its name at its right end.

    view: the values to show, where not all of them are to be seen.
    """
    ends = lines(groups, axis, scale, ax)
    if view is not None:
        ax.set_ylim(view[0] * scale.factor, view[1] * scale.factor)
    else:
        chance_line(groups, chance, scale, ax)
    ax.set_ylabel(scale.axis)
    within(scale, ax)
    name_ends(ends, ax)
    return ax


def lines(
    groups: Sequence[Group], axis: str, scale: Scale, ax: Axes, without: str | None = None
) -> list[tuple[str, float, Look]]:
    """Draw one dodged line per arm, every run as a dot; their names, right ends and looks.

    without: a factor that the panel's title names.
    """
    where, told = Axis(axis, [group.levels[axis] for group in groups], ax), (axis, without)
    found: dict[str, list[Group]] = {}
    for group in groups:
        found.setdefault(_name(group.levels, told), []).append(group)
    styles = looks([_rest(line[0].look, told) for line in found.values()])
    ends: list[tuple[str, float, Look]] = []
    for rank, ((name, line), look) in enumerate(zip(found.items(), styles, strict=True)):
        places = where.places([group.levels[axis] for group in line], rank, len(found))
        if len(line) == 1 < len(where.levels):  # this arm does not see the axis
            ax.axhline(line[0].centre * scale.factor, color=look.color, linewidth=0.6, alpha=0.6, zorder=1.5)
        ends.append((name, draw_line(line, places, look, scale, ax, where), look))
    where.draw(ax)
    return ends


def _rest(levels: Mapping[str, Any], without: Sequence[str | None]) -> dict[str, Any]:
    return {name: value for name, value in levels.items() if name not in without}


def _name(levels: Mapping[str, Any], without: Sequence[str | None]) -> str:
    """A line in words: the levels that neither the axis nor the panel tells."""
    rest = _rest(levels, without)
    return clean(factors.label(rest)) if rest else ""


def crowd(groups: Sequence[Group]) -> tuple[float, float] | None:
    """The range of the groups that lie close together, where a few far ones would flatten them; else None."""
    centres = [group.centre for group in groups if group.values]
    if len(centres) < 4:
        return None
    low, middle, high = np.quantile(centres, [0.25, 0.5, 0.75])
    reach = 3 * max(high - low, 1e-3)
    near = [group for group in groups if group.values and abs(group.centre - middle) <= reach]
    close = [value for group in near for seed, value in group.values.items() if seed not in group.failed]
    every = [value for group in groups for value in group.values.values()]
    if not close or max(every) - min(every) <= 4 * (max(close) - min(close)) or max(close) == min(close):
        return None
    edge = 0.08 * (max(close) - min(close))
    return min(close) - edge, max(close) + edge


def strips(groups: Sequence[Group], scale: Scale, chance: float | None, ax: Axes) -> Axes:
    """Draw the arms side by side, every run as a dot beside the mean."""
    for x, (look, group) in enumerate(zip(looks([g.look for g in groups]), groups, strict=True)):
        draw_line([group], Places([float(x)], _ASIDE), look, scale, ax)
    chance_line(groups, chance, scale, ax)
    within(scale, ax)
    ax.set_xticks(
        range(len(groups)), [group.label for group in groups], rotation=30 if len(groups) > 4 else 0
    )
    ax.set_xlim(-0.6, len(groups) - 0.4)
    ax.set_ylabel(scale.axis)
    ax.grid(False, axis="x")
    return ax


def draw_line(
    line: Sequence[Group], places: Places, look: Look, scale: Scale, ax: Axes, axis: Axis | None = None
) -> float:
    """Dots, intervals and mean of one arm; the height of its right end."""
    centres = [group.centre * scale.factor for group in line]
    for x, group in zip(places.xs, line, strict=True):
        dots(x - places.aside, group, look, scale, ax)
        if group.mean is not None:
            low, high = group.mean.low * scale.factor, group.mean.high * scale.factor
            ax.plot([x, x], [low, high], color=look.color, linewidth=1.4, solid_capstyle="butt", zorder=3)
    mark(places.xs, centres, look, ax, axis)
    return next((height for height in reversed(centres) if math.isfinite(height)), math.nan)


def mark(
    xs: Sequence[float],
    ys: Sequence[float],
    look: Look,
    ax: Axes,
    axis: Axis | None = None,
    *,
    hollow: bool = False,
) -> None:
    """The line of one arm and its markers. hollow: no verdict settles them, in a figure where one may."""
    if axis is None:
        ax.plot(xs, ys, color=look.color, linewidth=1, linestyle=look.dash, zorder=3.5)
    else:
        axis.join(xs, ys, ax, color=look.color, linewidth=1, linestyle=look.dash, zorder=3.5)
    ax.plot(
        xs, ys, color=look.color, marker=look.marker, markersize=3.6, linestyle="none", zorder=3.6,
        markerfacecolor="white" if hollow else look.color,
        markeredgecolor=look.color if hollow else "white", markeredgewidth=0.8 if hollow else 0.5,
    )  # fmt: skip


class Runs(Protocol):
    """What is seen at one place: a value for each seed, and the seeds that failed."""

    @property
    def values(self) -> Mapping[int, float]: ...
    @property
    def failed(self) -> frozenset[int]: ...


def dots(x: float, group: Runs, look: Look, scale: Scale, ax: Axes) -> None:
    """Every seed of one group; a failed one is a cross where its score lies."""
    for lost in (False, True):
        heights = [scale.factor * v for seed, v in group.values.items() if (seed in group.failed) == lost]
        ax.plot(
            [x] * len(heights),
            heights,
            marker="x" if lost else "o",
            markersize=4 if lost else 2.2,
            markeredgewidth=0.9 if lost else 0,
            color=ALARM if lost else look.color,
            alpha=1 if lost else 0.5,
            linestyle="none",
            zorder=4 if lost else 2,
        )


def within(scale: Scale, ax: Axes) -> None:
    """No axis of an accuracy beyond 0 and 100 %, even where a t interval reaches further."""
    if scale.factor == 100:
        low, high = ax.get_ylim()
        ax.set_ylim(max(low, -2), min(high, 102))


def chance_line(groups: Sequence[Group], chance: float | None, scale: Scale, ax: Axes) -> None:
    """A dotted line at the score of a failed run, where there is one."""
    if chance is None or not any(group.failed for group in groups):
        return
    ax.axhline(chance * scale.factor, color=QUIET, linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
    ax.annotate(
        "chance",
        (0.995, chance * scale.factor),
        xycoords=ax.get_yaxis_transform(),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        fontsize=6,
        color=QUIET,
    )


def name_ends(ends: Sequence[tuple[str, float, Look]], ax: Axes, *, each: bool = True) -> None:
    """Each line's name at its right end, in its colour; names never overlap, and long ones stand above.

    each: whether the panels beside this one name their lines too, so that all lose width to names.
    """
    low, high = ax.get_ylim()
    shown = [end for end in ends if low <= end[1] <= high]
    grid = ax.get_subplotspec().get_gridspec()  # type: ignore[union-attr]
    figure: Figure = ax.get_figure(root=True)  # type: ignore[assignment]
    room = _BESIDE * figure.get_figwidth() / (grid.ncols if each else 1)
    if any(len(name) * _LETTER > max(room, _SHORT) for name, _, _ in shown):
        name_above({name: look for name, _, look in shown}, figure)
        return
    inches = figure.get_figheight() / grid.nrows - 0.55
    gap = (high - low) * LINE / inches
    heights = spread([end for _, end, _ in shown], gap, (low, high))
    alike = len({look.name_color for _, _, look in shown}) < len(shown)
    for (name, _, look), y in zip(shown, heights, strict=True):
        # a piece of the line says which of one colour it is
        piece = {"color": look.color, "linestyle": look.dash, "shrinkA": 3, "shrinkB": 0}
        ax.annotate(
            name, (1, y), xycoords=ax.get_yaxis_transform(), annotation_clip=False,
            xytext=(_STUB + 3 if alike else 3, 0), textcoords="offset points", va="center",
            color=look.name_color, fontweight="bold",
            arrowprops={"arrowstyle": "-", "relpos": (0, 0.5), **piece} if alike else None,
        )  # fmt: skip


def name_above(styles: Mapping[str, Look], figure: Figure) -> None:
    """Name lines in a legend above the panels, below those that it has; the figure grows by its rows."""
    handles: dict[str, Line2D] = {}
    height, width = figure.get_figheight(), figure.get_figwidth()
    for old in figure.legends:
        handles = dict(zip([each.get_text() for each in old.get_texts()], old.get_lines(), strict=True))
        height -= _legend_shape(handles, width)[1]
        old.remove()
    if max(map(len, styles)) * _SMALL_LETTER + _HANDLE > width:
        width = PAGE
    for name, look in styles.items():
        handle = Line2D([], [], color=look.color, linewidth=1, marker=look.marker, markersize=3.6)
        handle.set(linestyle=look.dash)
        handles[textwrap.fill(name, int((width - _HANDLE) / _SMALL_LETTER))] = handle
    columns, more = _legend_shape(handles, width)
    figure.legend(
        list(handles.values()), list(handles), loc="outside upper left", ncols=columns, frameon=False,
        fontsize=_SMALL,
    )  # fmt: skip
    figure.set_size_inches(width, height + more)


def _legend_shape(names: Collection[str], width: float) -> tuple[int, float]:
    """As many columns as fit side by side, and the height of the legend, in inches."""
    lines = [name.split("\n") for name in names]
    longest = max(len(line) for each in lines for line in each)
    columns = max(1, int(width / (longest * _SMALL_LETTER + _HANDLE)))
    return columns, math.ceil(len(lines) / columns) * (0.03 + 0.11 * max(map(len, lines)))
