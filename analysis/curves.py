"""A metric against a swept number, one line per arm; or the arms side by side where no number is swept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from analysis.groups import Group
from analysis.style import ALARM, QUIET, Look, looks, spread
from analysis.words import Scale, clean
from fairtrial import factors

LINE = 0.125  # inches that a line of text takes
_DODGE = 0.09  # of the distance between two levels
_ASIDE = 0.05  # the runs stand this far left of their mean


def positions(levels: Sequence[Any]) -> list[float]:
    """Where the levels stand on the axis: log2 of positive numbers, else one after the other."""
    numbers = [isinstance(each, (int, float)) and not isinstance(each, bool) and each > 0 for each in levels]
    return [math.log2(each) for each in levels] if all(numbers) else [float(i) for i in range(len(levels))]


def curves(
    groups: Sequence[Group],
    axis: str,
    scale: Scale,
    chance: float | None,
    ax: Axes,
    view: tuple[float, float] | None = None,
) -> Axes:
    """Draw one dodged line per arm over the levels of `axis`, every run as a dot, labelled at its right end.

    view: the values to show, where not all of them are to be seen.
    """
    levels = list(dict.fromkeys(group.levels[axis] for group in groups))
    at = dict(zip(levels, positions(levels), strict=True))
    step = min((b - a for a, b in pairwise(sorted(at.values()))), default=1.0)
    lines: dict[str, list[Group]] = {}
    for group in groups:
        lines.setdefault(_rest(group, axis)[0], []).append(group)
    styles = looks([_rest(line[0], axis)[1] for line in lines.values()])
    ends: list[tuple[str, float, Look]] = []
    for rank, (name, line) in enumerate(lines.items()):
        shift = min(_DODGE, 0.6 / len(lines)) * step * (rank - (len(lines) - 1) / 2)
        end = _line(line, [at[group.levels[axis]] + shift for group in line], styles[rank], scale, ax)
        ends.append((name, end, styles[rank]))
    ax.set_xticks(list(at.values()), [clean(each) for each in levels])
    ax.set_xlabel(axis.replace("_", " "))
    ax.set_ylabel(scale.name + (", %" if scale.factor == 100 else ""))
    ax.grid(False, axis="x")
    if view is not None:
        ax.set_ylim(view[0] * scale.factor, view[1] * scale.factor)
    else:
        chance_line(groups, chance, scale, ax)
    within(scale, ax)
    name_ends(ends, ax)
    return ax


def _rest(group: Group, axis: str) -> tuple[str, dict[str, Any]]:
    """The arm of a point: its name and levels without the axis."""
    levels = {name: value for name, value in group.levels.items() if name != axis}
    return clean(factors.label(levels)) if levels else "", levels


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
    for x, (look, group) in enumerate(zip(looks([g.levels for g in groups]), groups, strict=True)):
        _line([group], [float(x)], look, scale, ax)
    chance_line(groups, chance, scale, ax)
    within(scale, ax)
    ax.set_xticks(
        range(len(groups)), [group.label for group in groups], rotation=30 if len(groups) > 4 else 0
    )
    ax.set_xlim(-0.6, len(groups) - 0.4)
    ax.set_ylabel(scale.name + (", %" if scale.factor == 100 else ""))
    ax.grid(False, axis="x")
    return ax


def _line(line: Sequence[Group], xs: Sequence[float], look: Look, scale: Scale, ax: Axes) -> float:
    """Dots, intervals and mean of one arm; the height of its right end."""
    centres = [group.centre * scale.factor for group in line]
    for x, group in zip(xs, line, strict=True):
        dots(x, group, look, scale, ax)
        if group.mean is not None:
            low, high = group.mean.low * scale.factor, group.mean.high * scale.factor
            ax.plot([x, x], [low, high], color=look.color, linewidth=1.4, solid_capstyle="butt", zorder=3)
    ax.plot(
        xs,
        centres,
        color=look.color,
        marker=look.marker,
        markersize=3.6,
        markeredgecolor="white",
        markeredgewidth=0.5,
        linewidth=1,
        linestyle=(0, (4, 2)) if look.dashed else "-",
        zorder=3.5,
    )
    return next((height for height in reversed(centres) if math.isfinite(height)), math.nan)


def dots(x: float, group: Group, look: Look, scale: Scale, ax: Axes) -> None:
    """Every seed of one group; a failed one is a cross where its score lies."""
    for lost in (False, True):
        heights = [scale.factor * v for seed, v in group.values.items() if (seed in group.failed) == lost]
        ax.plot(
            [x - _ASIDE] * len(heights),
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
        (0.01, chance * scale.factor),
        xycoords=ax.get_yaxis_transform(),
        xytext=(0, 3),
        textcoords="offset points",
        fontsize=6,
        color=QUIET,
    )


def name_ends(ends: Sequence[tuple[str, float, Look]], ax: Axes) -> None:
    """Each line's name at its right end, in its colour; names never overlap."""
    low, high = ax.get_ylim()
    shown = [end for end in ends if low <= end[1] <= high]
    inches = ax.get_figure().get_figheight() - 0.55  # type: ignore[union-attr]
    gap = (high - low) * LINE / inches
    heights = spread([end for _, end, _ in shown], gap, (low, high))
    for (name, _, look), y in zip(shown, heights, strict=True):
        ax.annotate(
            name,
            (1, y),
            xycoords=ax.get_yaxis_transform(),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            color=look.color,
            fontweight="bold",
            annotation_clip=False,
        )
