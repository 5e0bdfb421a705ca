"""Arms as rows, each with its runs, its mean and its interval: for names too long to stand below an axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Final

from matplotlib.axes import Axes

from fairtrial.reporting.figures.style import ALARM, INK, Look, look_of_norm
from fairtrial.reporting.results.arms import Group
from fairtrial.reporting.wording import Scale
from fairtrial.study.factors import name_of_norm

PITCH: Final = 0.42  # inches from row to row
_WIDTH: Final = 34  # characters of a name on one line


def rows(groups: Sequence[Group], scale: Scale, ax: Axes) -> Axes:
    """Draw the arms from top to bottom, each in the colour of its norm, their names on the left."""
    for y, group in enumerate(groups):
        row(group, y, look_of_norm(name_of_norm(group.look)), scale, ax)
    named([group.label for group in groups], ax)
    return ax


def row(group: Group, y: float, look: Look, scale: Scale, ax: Axes) -> None:
    """One arm."""
    dots(group.values, group.failed, y - 0.22, look.color, scale, ax)
    if group.mean is not None:
        ends = [group.mean.low * scale.factor, group.mean.high * scale.factor]
        ax.plot(ends, [y, y], color=look.color, linewidth=1.6, solid_capstyle="butt", zorder=3)
    ax.plot(
        group.centre * scale.factor, y, look.marker, markersize=4, color=look.color, markeredgecolor="white",
        markeredgewidth=0.5, zorder=3.5,
    )  # fmt: skip


def dots(
    values: Mapping[int, float], failed: frozenset[int], y: float, color: str, scale: Scale, ax: Axes
) -> None:
    """The value of every seed at one height; a failed one is a cross."""
    for lost in (False, True):
        mine = [scale.factor * value for seed, value in values.items() if (seed in failed) == lost]
        ax.plot(
            mine, [y] * len(mine), "x" if lost else "o", markersize=3.4 if lost else 2.4,
            markeredgewidth=0.9 if lost else 0, color=ALARM if lost else color, alpha=1 if lost else 0.45,
            zorder=2,
        )  # fmt: skip


def named(names: Sequence[str], ax: Axes) -> None:
    """The names of the rows, the first at the top."""
    ax.set_yticks(range(len(names)), [fill(name, _WIDTH) for name in names], color=INK)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(False, axis="y")
