"""What every figure is laid out on: its panels, the axis of swept levels, the words of its caption."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fairtrial.reporting.figures import style
from fairtrial.reporting.results.arms import Group, averaged_over, gather, metric_of
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.wording import clean
from fairtrial.study.failure_policy import chance
from fairtrial.study.study import Study

NAMES: Final = {  # others say enough
    "shots": "images per class",
    "stat_batch": "images per batch statistic",
    "mixup": "MixUp alpha",
}
CROWDED: Final = 6  # levels; with more, panels stand above each other over the whole width
_DODGE: Final = 0.09  # of the distance between two levels, from line to line
_WIDE_DODGE: Final = 0.17  # the same where levels are crowded
_ASIDE: Final = 0.07  # inches: the runs stand this far left of their mean
_PANEL: Final = 0.8  # of the width that each panel of a figure has, that of its axis
_ROOM: Final = 0.45  # of a dodge: the most of it that this may take
_SMALL: Final = 10  # images per class up to which a few-shot axis is linear
_JUMP: Final = 1.6  # steps that an axis leaves out at its break, and between the levels beyond it
RUNS: Final = "Dots are single runs (crosses: failed runs, scored as chance)"
MOST_PANELS: Final = 4  # beside each other

Figures: TypeAlias = Iterator[tuple[str, str, Figure]]  # name, caption without provenance, figure


def side_by_side(
    count: int, height: float, *, wide: bool = False, width: float | None = None, sharey: bool = False
) -> tuple[Figure, Sequence[Axes]]:
    """A figure of one or both columns with its panels side by side."""
    width = width or (style.PAGE if wide else style.COLUMN)
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, count, squeeze=False, sharey=sharey)[0]


def arranged(
    count: int, *, crowded: bool, wide: bool = True, height: float = 2.6, sharey: bool = False
) -> tuple[Figure, Sequence[Axes]]:
    """Panels side by side; above each other, over the whole width, where their axis is crowded."""
    if not crowded or count == 1:
        return side_by_side(count, height, wide=wide or crowded, sharey=sharey)
    figure = Figure(figsize=(style.PAGE, 0.3 + 1.8 * count), layout="constrained")
    return figure, list(figure.subplots(count, 1, sharey=sharey))


def label_once(figure: Figure, axes: Sequence[Axes], text: str) -> None:
    """The label of the y axis for all panels; of panels in a column the last keeps that of its x axis."""
    if axes[0].get_subplotspec().get_gridspec().nrows == 1:  # type: ignore[union-attr]
        axes[0].set_ylabel(text)
        return
    figure.supylabel(text, fontsize=style.RC["axes.labelsize"])
    for ax in axes[:-1]:
        ax.set_xlabel("")


def plain_ticks(ax: Axes) -> None:
    """Ticks of a log y axis as numbers, never as powers."""
    low, high = ax.get_ylim()
    steps = (1, 2, 5) if high > 10 * low else (1, 2, 3, 4, 5, 6, 7, 8, 9)  # a short axis needs closer ones
    every = (step * 10.0**power for power in range(-6, 7) for step in steps)
    marks = [mark for mark in every if low <= mark <= high]
    ax.set_yticks(marks, [f"{mark:g}" for mark in marks])
    ax.minorticks_off()


def gathered(results: Results, names: Sequence[str], partial: bool) -> list[Group]:
    """The groups of a figure, with intervals where they may be shown."""
    return gather(results, names, metric_of(results.study), intervals=results.sound or partial)


def averaged(study: Study, names: Sequence[str]) -> str:
    """' Averaged within a seed over lr.'; or nothing."""
    over = averaged_over(study, names)
    return f" Averaged within a seed over {', '.join(over)}." if over else ""


def balanced(study: Study, names: Sequence[str]) -> bool:
    """Whether what is averaged over is the same at every combination of levels of `names`."""
    found: dict[tuple, set[tuple]] = {}
    for arm in study.arms():
        here = tuple(arm[name] for name in names)
        found.setdefault(here, set()).add(tuple(level for name, level in arm.items() if name not in names))
    return len({frozenset(rest) for rest in found.values()}) == 1


def bars(groups: Sequence[Group], lie: str = "vertical") -> str:
    """What the bars of means are. lie: how they do."""
    return f"{lie} bars are 95 % t intervals of the mean" if any(g.mean for g in groups) else "no intervals"


def some(levels: Sequence[Any]) -> list[Any]:
    """At most as many levels as there is room for panels, the first and the last among them."""
    if len(levels) <= MOST_PANELS:
        return list(levels)
    return [levels[round(i * (len(levels) - 1) / (MOST_PANELS - 1))] for i in range(MOST_PANELS)]


def capital(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]


def chance_of(results: Results, metric: str) -> float | None:
    """What a failed run scores on a metric; None where the number of classes differs."""
    counted = {row["classes"] for row in results.plain if row.get("classes")}
    return chance(counted.pop())[metric] if len(counted) == 1 else None


def factor_name(factor: str) -> str:
    """A swept factor as the label of an axis."""
    return NAMES.get(factor, factor.replace("_", " "))


def positions(levels: Sequence[Any]) -> list[float]:
    """Where the levels stand: log2 of positive numbers, else one after the other.

    Five neighbours up to 10 are linear; levels beyond them follow after a break, one after the other.
    """
    near = _linear(levels)
    if near:
        far = [each for each in levels if each not in near]
        at = dict(zip(near, map(float, near), strict=True))
        at |= {each: max(near) + _JUMP * (rank + 1) for rank, each in enumerate(far)}
        return [at[each] for each in levels]
    numbers = [isinstance(each, (int, float)) and not isinstance(each, bool) and each > 0 for each in levels]
    return [math.log2(each) for each in levels] if all(numbers) else [float(i) for i in range(len(levels))]


def _linear(levels: Sequence[Any]) -> list[int]:
    """The counts that stand on a linear scale: five neighbours or more, up to 10; else none."""
    whole = [each for each in levels if isinstance(each, int) and not isinstance(each, bool)]
    near = [each for each in whole if 1 <= each <= _SMALL]
    return near if len(near) >= 5 and max(near) - min(near) < len(near) else []


class Places(NamedTuple):
    """Where the points of one line stand."""

    xs: list[float]
    aside: float


def _inches(ax: Axes) -> float:
    """About how wide the axis of a panel will be."""
    columns = ax.get_subplotspec().get_gridspec().ncols  # type: ignore[union-attr]
    return _PANEL * ax.get_figure(root=True).get_figwidth() / columns  # type: ignore[union-attr]


class Axis:
    """The levels of one factor on the x axis of a panel."""

    def __init__(self, factor: str, levels: Sequence[Any], ax: Axes | None = None) -> None:
        self.factor, self.levels = factor, list(dict.fromkeys(levels))
        self._inches = style.PAGE * _PANEL if ax is None else _inches(ax)
        self.at = dict(zip(self.levels, positions(self.levels), strict=True))
        self._step = min((b - a for a, b in pairwise(sorted(self.at.values()))), default=1.0)
        near = _linear(self.levels)
        self._break = max(near) + _JUMP / 2 if near and len(near) < len(self.levels) else None

    def places(self, levels: Sequence[Any], rank: int, lines: int) -> Places:
        """Where the line of this rank has its points, and how far left of them its runs stand."""
        most = _WIDE_DODGE if len(self.levels) > CROWDED else _DODGE
        dodge = min(most, 0.7 / lines) * self._step
        ends = self.at.values()
        aside = min(
            _ASIDE / self._inches * (max(ends) - min(ends)), _ROOM * dodge if lines > 1 else self._step
        )
        return Places([self.at[each] + dodge * (rank - (lines - 1) / 2) for each in levels], aside)

    def draw(self, ax: Axes) -> None:
        """Ticks, label and the two strokes of a break."""
        ax.set_xticks(list(self.at.values()), [clean(each) for each in self.levels])
        ax.set_xlabel(factor_name(self.factor))
        ax.grid(False, axis="x")
        for x in () if self._break is None else (self._break - 0.1, self._break + 0.1):
            ax.plot(
                [x - 0.08, x + 0.08], [-0.02, 0.02], transform=ax.get_xaxis_transform(), color=style.QUIET,
                linewidth=0.8, clip_on=False,
            )  # fmt: skip

    def join(self, xs: Sequence[float], ys: Sequence[float], ax: Axes, **options: Any) -> None:
        """A line through the points, faint where it crosses the break."""
        if self._break is None:
            ax.plot(xs, ys, **options)
            return
        points = list(zip(xs, ys, strict=True))
        near = [point for point in points if point[0] < self._break]
        far = [point for point in points if point[0] > self._break]
        faint = {**options, "linewidth": 0.5, "alpha": 0.5}
        for part, how in ((near, options), (far, options), ([*near[-1:], *far[:1]], faint)):
            ax.plot([x for x, _ in part], [y for _, y in part], **how)
