"""Paired differences along an axis, drawn: a panel per pair of levels, a line per arm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from fairtrial.reporting.figures.axis import CROWDED, Axis, name_of
from fairtrial.reporting.figures.curves import dots, mark, name_ends
from fairtrial.reporting.figures.figure_layout import Made, arranged, averaged, capital, label_once
from fairtrial.reporting.figures.style import BAND, INK, looks
from fairtrial.reporting.results.arms import metric_of
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.verdicts.captions import counted
from fairtrial.reporting.verdicts.paired_gains import GainLine, GainPanel, GainPoint, measure
from fairtrial.reporting.wording import SCALES, Scale

Measured = Mapping[GainLine, Sequence[GainPoint]]


def gains(panel: GainPanel, points: Measured, axis: str, scale: Scale, margin: float, ax: Axes) -> Axes:
    """Draw the lines of one panel: every seed as a dot, intervals, the margin as a band around 0."""
    where = Axis(axis, [point.level for line in panel.lines for point in points[line]])
    styles = looks([line.look for line in panel.lines])
    ax.axhspan(-margin * scale.factor, margin * scale.factor, color=BAND, linewidth=0, zorder=0.5)
    ax.axhline(0, color=INK, linewidth=0.8, zorder=1.5)
    ends = []
    for rank, (line, look) in enumerate(zip(panel.lines, styles, strict=True)):
        places = where.places([point.level for point in points[line]], rank, len(panel.lines))
        heights = [point.centre * scale.factor for point in points[line]]
        where.join(places.xs, heights, ax, color=look.color, linewidth=1, linestyle=look.dash, zorder=2.5)
        for x, height, point in zip(places.xs, heights, points[line], strict=True):
            dots(x - places.aside, point, look, scale, ax)
            if point.interval is not None:
                low, high = point.interval.low * scale.factor, point.interval.high * scale.factor
                ax.vlines(x, low, high, color=look.color, linewidth=1.4, zorder=3)
            mark([x], [height], look._replace(hollow=not point.excludes), ax)
        ends.append((line.name, next((h for h in reversed(heights) if math.isfinite(h)), math.nan), look))
    where.draw(ax)
    ax.set_title(panel.title)
    name_ends(ends if len(ends) > 1 else [], ax)  # the title names a single one
    return ax


def gained(
    results: Results, partial: bool, name: str, what: str, axis: str, panels: Sequence[GainPanel]
) -> Made:
    """A figure of its own for these panels; none where there is no panel."""
    if not panels:
        return
    study, metric = results.study, metric_of(results.study)
    points = measure(results, panels, axis, metric, intervals=results.sound or partial)
    crowded = len(study.factors[axis]) > CROWDED
    figure, axes = arranged(len(panels), crowded=crowded, wide=len(panels) > 1 or crowded)
    for ax, panel in zip(axes, panels, strict=True):
        gains(panel, points, axis, SCALES[metric], study.margin, ax)
    label_once(figure, axes, SCALES[metric].gap_axis)
    titles = "; ".join(panel.title for panel in panels)
    told = f"{what} against {name_of(axis)}: {titles}. {capital(how(results, points))}."
    mean = averaged(study, [axis, *(each for panel in panels for line in panel.lines for each in line.named)])
    caption = f"{told}{mean} Exploratory where no verdict above says the same. {_units(results, points)}."
    yield f"{name}-by-{axis}".replace("_", "-"), caption, figure


def how(results: Results, points: Measured) -> str:
    """How paired differences are drawn."""
    every = [point for line in points.values() for point in line]
    m = len(every)
    bars = f"bars: 95 % paired t intervals, not adjusted; filled marks: 0 is excluded after Holm over {m}"
    bars = bars if any(point.interval for point in every) else "no intervals"
    return f"paired, a dot per seed (crosses: a run of that seed failed); {bars}; grey band: margin"


def _units(results: Results, points: Measured) -> str:
    every = [point.unit for line in points.values() for point in line]
    found = {unit.describe(unit.seeds): unit for unit in every}
    return counted(results, [(unit, "") for unit in found.values()])
