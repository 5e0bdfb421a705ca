"""A metric against a swept number, one line per arm; or the arms side by side where no number is swept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from analysis.groups import Group
from analysis.style import ALARM, QUIET, Look, looks, spread
from analysis.words import Scale, clean
from fairtrial import factors

_DODGE = 0.07  # of the distance between two levels


def positions(levels: Sequence[Any]) -> list[float]:
    """Where the levels stand on the axis: log2 of positive numbers, else one after the other."""
    numbers = [isinstance(each, (int, float)) and not isinstance(each, bool) and each > 0 for each in levels]
    return [math.log2(each) for each in levels] if all(numbers) else [float(i) for i in range(len(levels))]


def curves(groups: Sequence[Group], axis: str, scale: Scale, chance: float | None, ax: Axes) -> Axes:
    """Draw one dodged line per arm over the levels of `axis`, every run as a dot, labelled at its right end."""
    levels = list(dict.fromkeys(group.levels[axis] for group in groups))
    at = dict(zip(levels, positions(levels), strict=True))
    step = min((b - a for a, b in zip(sorted(at.values()), sorted(at.values())[1:], strict=False)), default=1.0)
    lines: dict[str, list[Group]] = {}
    for group in groups:
        rest = {name: value for name, value in group.levels.items() if name != axis}
        lines.setdefault(clean(factors.label(rest)) if rest else "", []).append(group)
    arms = [{n: v for n, v in line[0].levels.items() if n != axis} for line in lines.values()]
    ends: list[tuple[str, float, Look]] = []
    for rank, (look, line) in enumerate(zip(looks(arms), lines.values(), strict=True)):
        shift = _DODGE * step * (rank - (len(lines) - 1) / 2)
        end = _line(line, [at[group.levels[axis]] + shift for group in line], look, scale, ax)
        ends.append((list(lines)[rank], end, look))
    _chance_line(groups, chance, scale, ax)
    ax.set_xticks(list(at.values()), [clean(each) for each in levels])
    ax.set_xlabel(axis.replace("_", " "))
    ax.set_ylabel(scale.name + (", %" if scale.factor == 100 else ""))
    ax.grid(False, axis="x")
    name_ends(ends, ax)
    return ax


def strips(groups: Sequence[Group], scale: Scale, chance: float | None, ax: Axes) -> Axes:
    """Draw the arms side by side, every run as a dot beside the mean."""
    for x, (look, group) in enumerate(zip(looks([g.levels for g in groups]), groups, strict=True)):
        _line([group], [float(x)], look, scale, ax)
    _chance_line(groups, chance, scale, ax)
    ax.set_xticks(range(len(groups)), [group.label for group in groups], rotation=30 if len(groups) > 4 else 0)
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
            ax.plot([x, x], [low, high], color=look.color, linewidth=1.6, solid_capstyle="butt", zorder=3)
    ax.plot(
        xs,
        centres,
        color=look.color,
        marker=look.marker,
        markersize=4,
        markeredgecolor="white",
        markeredgewidth=0.5,
        linewidth=1,
        linestyle=(0, (4, 2)) if look.dashed else "-",
        zorder=3.5,
    )
    return next((height for height in reversed(centres) if math.isfinite(height)), math.nan)


def dots(x: float, group: Group, look: Look, scale: Scale, ax: Axes) -> None:
    """Every seed of one group; a failed one is a cross where its score lies."""
    for seed, value in group.values.items():
        lost = seed in group.failed
        ax.plot(
            x,
            value * scale.factor,
            marker="x" if lost else "o",
            markersize=4 if lost else 2.4,
            markeredgewidth=0.9 if lost else 0,
            color=ALARM if lost else look.color,
            alpha=1 if lost else 0.4,
            linestyle="none",
            zorder=4 if lost else 2,
        )


def _chance_line(groups: Sequence[Group], chance: float | None, scale: Scale, ax: Axes) -> None:
    if chance is None or not any(group.failed for group in groups):
        return
    ax.axhline(chance * scale.factor, color=QUIET, linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
    ax.text(0.01, chance * scale.factor, "chance", transform=ax.get_yaxis_transform(), fontsize=6, color=QUIET, va="bottom")


def name_ends(ends: Sequence[tuple[str, float, Look]], ax: Axes) -> None:
    """Each line's name at its right end, in its colour; names never overlap."""
    shown = [end for end in ends if math.isfinite(end[1])]
    low, high = ax.get_ylim()
    inches = ax.get_figure().get_figheight() * 0.8  # type: ignore[union-attr]
    gap = (high - low) * 0.125 / inches  # a line of text is about an eighth of an inch
    for (name, _, look), y in zip(shown, spread([end for _, end, _ in shown], gap), strict=True):
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
