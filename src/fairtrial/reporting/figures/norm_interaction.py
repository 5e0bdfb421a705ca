"""Norm against weight standardization: lines that are not parallel are an interaction."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from fairtrial.reporting.figures.curves import chance_line, dots, name_ends, within
from fairtrial.reporting.figures.style import Look, looks
from fairtrial.reporting.results.arms import Group
from fairtrial.reporting.wording import Scale, clean

_TWO = ("norm", "weight_std")


def interplay(groups: Sequence[Group], scale: Scale, chance: float | None, ax: Axes) -> Axes:
    """Draw one line per norm from 'no ws' to 'ws', in the norm's own colour; a point has that of its arm."""
    styles = _styles(groups)
    lines = _lines(groups)
    for rank, pair in enumerate(lines.values()):
        xs = [group.levels["weight_std"] + 0.06 * (rank - (len(lines) - 1) / 2) for group in pair]
        color = styles[_key(pair[0])].color
        ax.plot(xs, [group.centre * scale.factor for group in pair], color=color, linewidth=1, zorder=2.5)
        for x, group in zip(xs, pair, strict=True):
            _point(x, group, styles[_key(group)], scale, ax)
    chance_line(groups, chance, scale, ax)
    ax.set_xlim(-0.3, 1.3)
    ax.set_xticks([0, 1], ["no ws", "ws"])
    ax.grid(False, axis="x")
    return ax


def name_lines(groups: Sequence[Group], scale: Scale, ax: Axes) -> None:
    """Write each norm at the right end of its line, once every panel is drawn and shares its scale."""
    within(scale, ax)
    styles = _styles(groups)
    ends = [
        (norm, pair[-1].centre * scale.factor, styles[_key(pair[0])]) for norm, pair in _lines(groups).items()
    ]
    name_ends(ends, ax)


def _lines(groups: Sequence[Group]) -> dict[str, list[Group]]:
    norms = dict.fromkeys(group.levels["norm"] for group in groups)
    order = sorted(groups, key=lambda group: group.levels["weight_std"])
    return {clean(norm): [group for group in order if group.levels["norm"] == norm] for norm in norms}


def _styles(groups: Sequence[Group]) -> dict[tuple, Look]:
    return dict(
        zip(map(_key, groups), looks([dict(zip(_TWO, _key(g), strict=True)) for g in groups]), strict=True)
    )


def _key(group: Group) -> tuple:
    return group.levels["norm"], group.levels["weight_std"]


def _point(x: float, group: Group, look: Look, scale: Scale, ax: Axes) -> None:
    dots(x - 0.05, group, look, scale, ax)
    if group.mean is not None:
        low, high = group.mean.low * scale.factor, group.mean.high * scale.factor
        ax.plot([x, x], [low, high], color=look.color, linewidth=1.6, solid_capstyle="butt", zorder=3)
    ax.plot(
        x, group.centre * scale.factor, color=look.color, marker=look.marker, markersize=4,
        markeredgecolor="white", markeredgewidth=0.5, zorder=3.5,
    )  # fmt: skip
