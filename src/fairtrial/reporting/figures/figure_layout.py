"""What every figure is set on: panels side by side, the groups they show, the words of its caption."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fairtrial.reporting.figures import style
from fairtrial.reporting.results.arms import Group, gather, metric_of
from fairtrial.reporting.results.load import Results, chance
from fairtrial.study.study import Study

RUNS: Final = "Dots are single runs (crosses: failed runs, scored as chance)"
MOST_PANELS: Final = 4  # beside each other

Made: TypeAlias = Iterator[tuple[str, str, Figure]]  # name, caption without provenance, figure


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


def gathered(results: Results, names: Sequence[str], partial: bool) -> list[Group]:
    """The groups of a figure, with intervals where they may be shown."""
    return gather(results, names, metric_of(results.study), intervals=results.sound or partial)


def averaged(study: Study, names: Sequence[str]) -> str:
    """' Averaged within a seed over lr.'; or nothing."""
    averaged = [name for name, levels in study.factors.items() if name not in names and len(levels) > 1]
    return f" Averaged within a seed over {', '.join(averaged)}." if averaged else ""


def balanced(study: Study, names: Sequence[str]) -> bool:
    """Whether what is averaged over is the same at every combination of levels of `names`."""
    found: dict[tuple, set[tuple]] = {}
    for arm in study.arms():
        here = tuple(arm[name] for name in names)
        found.setdefault(here, set()).add(tuple(level for name, level in arm.items() if name not in names))
    return len({frozenset(rest) for rest in found.values()}) == 1


def bars(groups: Sequence[Group]) -> str:
    """What the vertical bars of means are."""
    return "vertical bars are 95 % t intervals of the mean" if any(g.mean for g in groups) else "no intervals"


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
