"""Accuracy against learning rate: what tuning on a grid saw of each arm, and what it chose."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from fairtrial.reporting.figures.curves import dots, mark, name_ends, within
from fairtrial.reporting.figures.figure_layout import Figures, some
from fairtrial.reporting.figures.style import PAGE, Look, looks
from fairtrial.reporting.report_item import REPORT, STUDY, RegistryRow, ReportItem
from fairtrial.reporting.results.arms import axis_of
from fairtrial.reporting.results.rate_curves import RateCurve, rate_curves, spread
from fairtrial.reporting.verdicts.chosen_settings import edge_words
from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts
from fairtrial.reporting.wording import SCALES, Scale, clean, level, plural
from fairtrial.study import factors
from fairtrial.study.limits import MIN_UNITS
from fairtrial.study.tuning_plan import Tuning

_NAMES: Final = {"lr": "learning rate", "weight_decay": "weight decay", "mixup": "MixUp alpha"}
_ACCURACY: Final = SCALES["val_acc"]
_LOSS: Final = Scale("validation loss", "in validation loss", 1, 3)
_DODGE: Final = 0.09  # of the step of the grid, from line to line
_FAR: Final = 2  # times the loss of chance, where the axis of losses ends
_LETTERS: Final = 60  # of the names of rates, over all panels
_ASIDE: Final = 0.035  # of that step: the runs stand this far left of their mean


class _Runs:
    """The tuning seeds at one value, as `dots` takes them."""

    def __init__(self, values: np.ndarray, diverged: np.ndarray) -> None:
        self.values: Mapping[int, float] = dict(enumerate(values.tolist()))
        self.failed = frozenset(np.flatnonzero(diverged).tolist())


def sensitivity(verdicts: StudyVerdicts) -> Figures:
    """Draw a line per arm over the grid, a panel per level of the number that is swept."""
    results, tuning = verdicts.results, verdicts.results.study.tuning
    curves, axis = rate_curves(results), axis_of(results.study)
    if not curves or tuning is None:
        return
    drawn = {curve.levels.get(axis or "") for curve in curves}
    every = [value for value in (results.study.factors[axis] if axis else (None,)) if value in drawn]
    shown = some(every)
    panels = [[curve for curve in curves if curve.levels.get(axis or "") == value] for value in shown]
    by_loss = tuning.score == "val_loss"
    arms = {_name(curve, axis): _without(curve.look, axis) for panel in panels for curve in panel}
    styles = dict(zip(arms, looks(list(arms.values())), strict=True))
    figure, axes = _panels(len(shown), 1 + by_loss)
    names = [{_name(curve, axis) for curve in panel} for panel in panels]
    last_names_all = all(each <= names[-1] for each in names)
    for column, (value, panel) in enumerate(zip(shown, panels, strict=True)):
        own = [styles[_name(curve, axis)] for curve in panel]
        for row, scale in enumerate((_ACCURACY, _LOSS)[: 1 + by_loss]):
            _draw(panel, own, scale, axes[row][column])
        axes[0][column].set_title(level(axis, value) if axis else "")
        axes[-1][column].set_xlabel(_NAMES.get(tuning.names[0], tuning.names[0]))
        if column == len(shown) - 1 or not last_names_all:
            ends = [float(curve.accuracy[:, -1].mean()) * _ACCURACY.factor for curve in panel]
            lines = [_name(curve, axis) for curve in panel]
            name_ends(list(zip(lines, ends, own, strict=True)), axes[0][column], each=not last_names_all)
    ticks = _ticks_of(curves[0].grid, len(shown))
    axes[-1][0].set_xticks(ticks, [f"{value:g}" for value in ticks])
    within(_ACCURACY, axes[0][0])
    for left, scale in zip(axes, (_ACCURACY, _LOSS), strict=False):
        left[0].set_ylabel(scale.axis)
    beyond = by_loss and _loss_axis([curve for panel in panels for curve in panel], axes[1][0])
    note = f" Losses above {_FAR} times chance lie beyond the axis." if beyond else ""
    few = f" {len(shown)} of {len(every)} levels of {axis}." if len(shown) < len(every) else ""
    yield "sensitivity", _caption(tuning, curves) + edge_words(results) + note + few, figure


def _ticks_of(grid: Sequence[float], panels: int) -> Sequence[float]:
    """Return every rate, or every second, every third and so on, so that their names fit side by side."""
    named = (grid[::step] for step in range(1, len(grid)))
    fitting = (each for each in named if panels * sum(len(f"{value:g}") for value in each) <= _LETTERS)
    return next(fitting, grid[:: len(grid) - 1])


def _panels(columns: int, rows: int) -> tuple[Figure, Sequence[Sequence[Axes]]]:
    """Return the figure and its panels."""
    size = (min(PAGE, 1.6 + 1.9 * columns), 0.5 + 1.9 * rows)
    figure = Figure(figsize=size, layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False, sharey="row", sharex=True))


def _draw(panel: Sequence[RateCurve], styles: Sequence[Look], scale: Scale, ax: Axes) -> None:
    """Draw the runs, means, limits and choices of each arm; lines stand beside each other."""
    grid = panel[0].grid
    step = (math.log(grid[-1]) - math.log(grid[0])) / (len(grid) - 1)
    for rank, (curve, look) in enumerate(zip(panel, styles, strict=True)):
        values = curve.accuracy if scale is _ACCURACY else curve.loss
        shift = step * min(_DODGE, 0.6 / len(panel)) * (rank - (len(panel) - 1) / 2)
        xs = [value * math.exp(shift) for value in grid]
        spreads = [spread(column) for column in values.T.tolist()]
        for place, (x, found) in enumerate(zip(xs, spreads, strict=True)):
            runs = _Runs(values[:, place], curve.diverged[:, place])
            dots(x * math.exp(-_ASIDE * step), runs, look, scale, ax)
            limits = [found.low * scale.factor, found.high * scale.factor]
            ax.plot([x, x], limits, color=look.color, linewidth=1.2, solid_capstyle="butt", zorder=3)
        heights = [found.mean * scale.factor for found in spreads]
        mark(xs, heights, look, ax)
        for value in set(curve.chosen):
            place = grid.index(value)
            ax.plot(
                xs[place], heights[place], marker="o", markersize=9, markerfacecolor="none",
                markeredgecolor=look.color, markeredgewidth=1.1, linestyle="none", zorder=4,
            )  # fmt: skip
    ax.set_xscale("log")
    ax.minorticks_off()
    ax.grid(False, axis="x")


def _loss_axis(curves: Sequence[RateCurve], ax: Axes) -> bool:
    """Make the axis of losses logarithmic; whether some mean lies beyond it, far above chance."""
    means = np.array([curve.loss.mean(axis=0) for curve in curves])
    top = _FAR * curves[0].chance_loss
    ax.set_yscale("log", nonpositive="clip")
    ax.set_ylim(means.min() / 1.5, min(means.max() * 1.5, top))
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_locator(NullLocator())
    return bool(means.max() > top)


def _without(levels: Mapping[str, Any], axis: str | None) -> dict[str, Any]:
    return {name: value for name, value in levels.items() if name != axis}


def _name(curve: RateCurve, axis: str | None) -> str:
    rest = _without(curve.levels, axis)
    return clean(factors.label(rest)) if rest else ""


def _caption(tuning: Tuning, curves: Sequence[RateCurve]) -> str:
    n = len(curves[0].accuracy)
    bars = "95 % t intervals" if n >= MIN_UNITS else "from the lowest to the highest run, no intervals,"
    crosses = "; crosses: diverged, scored as chance" if any(curve.diverged.any() for curve in curves) else ""
    name = _NAMES.get(tuning.names[0], tuning.names[0])
    chose = " and the loss that chose" if tuning.score == "val_loss" else ", which chose,"
    return (
        f"Validation accuracy{chose} against {name}. Bars: {bars} over n = "
        f"{plural(n, 'tuning seed')}; dots: runs{crosses}; rings: chosen. Each trial had {tuning.budget} and "
        f"was scored on {curves[0].val_n} validation images."
    )


ROWS = (
    RegistryRow(STUDY, sensitivity, rank=8, items=(
        ReportItem(
            "FS.1", "Sensitivity to the learning rate", ("Q3", "Q1", "Q4"), REPORT,
            "how wide the range of rates is within a point of an arm's best, on validation images",
            "fairtrial run norm",
            ("sensitivity",),
        ),
    )),
)  # fmt: skip
