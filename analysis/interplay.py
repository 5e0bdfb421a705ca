"""Norm against weight standardization: lines that are not parallel are an interaction."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from analysis.curves import dots
from analysis.groups import Group
from analysis.style import Look, looks, spread
from analysis.words import Scale, clean


def interplay(groups: Sequence[Group], scale: Scale, ax: Axes, *, labels: bool = True) -> Axes:
    """Draw one line per norm from 'no ws' to 'ws'; a point keeps the colour of its own arm."""
    norms = list(dict.fromkeys(group.levels["norm"] for group in groups))
    styles = dict(zip(map(_key, groups), looks([_arm(group) for group in groups]), strict=True))
    ends: list[tuple[str, float, Look]] = []
    for rank, norm in enumerate(norms):
        pair = sorted((g for g in groups if g.levels["norm"] == norm), key=lambda g: g.levels["weight_std"])
        xs = [g.levels["weight_std"] + 0.06 * (rank - (len(norms) - 1) / 2) for g in pair]
        strong = styles[_key(pair[-1])]
        ax.plot(xs, [g.centre * scale.factor for g in pair], color=strong.color, linewidth=1, zorder=2.5)
        for x, group in zip(xs, pair, strict=True):
            _point(x, group, styles[_key(group)], scale, ax)
        ends.append((clean(norm), pair[-1].centre * scale.factor, strong))
    ax.set_xlim(-0.3, 1.3)
    ax.set_xticks([0, 1], ["no ws", "ws"])
    ax.grid(False, axis="x")
    if labels:
        low, high = ax.get_ylim()
        for (name, _, look), y in zip(ends, spread([end for _, end, _ in ends], 0.06 * (high - low)), strict=True):
            ax.text(1.02, y, name, transform=ax.get_yaxis_transform(), va="center", color=look.color, fontweight="bold")
    return ax


def _arm(group: Group) -> dict:
    return {name: group.levels[name] for name in ("norm", "weight_std")}


def _key(group: Group) -> tuple:
    return group.levels["norm"], group.levels["weight_std"]


def _point(x: float, group: Group, look: Look, scale: Scale, ax: Axes) -> None:
    dots(x, group, look, scale, ax)
    if group.mean is not None:
        low, high = group.mean.low * scale.factor, group.mean.high * scale.factor
        ax.plot([x, x], [low, high], color=look.color, linewidth=1.6, solid_capstyle="butt", zorder=3)
    ax.plot(
        x, group.centre * scale.factor, color=look.color, marker=look.marker, markersize=4,
        markeredgecolor="white", markeredgewidth=0.5, zorder=3.5,
    )  # fmt: skip
