"""Paired differences along an axis, drawn: a panel per pair of levels, a line per arm."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial as bind
from typing import Final

from matplotlib.axes import Axes

from fairtrial.reporting.figures.curves import dots, mark, name_ends
from fairtrial.reporting.figures.figure_layout import (
    CROWDED,
    Axis,
    Figures,
    arranged,
    averaged,
    capital,
    factor_name,
    label_once,
    some,
)
from fairtrial.reporting.figures.style import BAND, INK, looks
from fairtrial.reporting.report_item import NIGHTLY, REPORT, STUDY, Cells, RegistryRow, ReportItem
from fairtrial.reporting.results.arms import metric_of
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.verdicts.captions import counted
from fairtrial.reporting.verdicts.paired_gains import (
    GainLine,
    GainPanel,
    GainPoint,
    bn_modes,
    measure,
    mixups,
    tunings,
)
from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts
from fairtrial.reporting.wording import SCALES, Scale
from fairtrial.study.study import Study

WHY: Final = ("test_acc", "test_loss", "test_ece")  # accuracy, likelihood, calibration
SETTLED: Final = "filled marks: settled by a verdict; hollow: not"
Measured = Mapping[GainLine, Sequence[GainPoint]]


def gains(panel: GainPanel, points: Measured, axis: str, scale: Scale, margin: float, ax: Axes) -> Axes:
    """Draw the lines of one panel: every seed as a dot, intervals, the margin as a band around 0."""
    where = Axis(axis, [point.level for line in panel.lines for point in points[line]], ax)
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
            mark([x], [height], look, ax, hollow=not point.settled)
        ends.append((line.name, next((h for h in reversed(heights) if math.isfinite(h)), math.nan), look))
    where.draw(ax)
    ax.set_title(panel.title)
    name_ends(ends if len(ends) > 1 else [], ax)  # the title names a single one
    return ax


def draw_why_mixup(verdicts: StudyVerdicts) -> Figures:
    """Draw what MixUp changes in accuracy, likelihood and calibration, against the share of wrong labels."""
    results, axis = verdicts.results, "label_noise"
    panels = mixups(results.study)[:1]
    if not panels or "test_ece" not in results.frame or results.frame["test_ece"].isna().any():
        return
    figure, axes = arranged(len(WHY), crowded=False, wide=True)
    told = {metric: measure(verdicts, panels, axis, metric) for metric in WHY}
    for ax, metric in zip(axes, WHY, strict=True):
        scale, margin = SCALES[metric], results.study.margin if metric == WHY[0] else 0.0
        gains(panels[0], told[metric], axis, scale, margin, ax).set_title(capital(scale.name))
        ax.set_ylabel(scale.gap_axis)
    points = told[WHY[0]]
    mean = averaged(results.study, [axis, *(name for line in panels[0].lines for name in line.named)])
    caption = (
        f"What MixUp changes ({panels[0].title}) in accuracy, in cross entropy and in expected calibration "
        "error, both better when lower, against the share of training labels that name another class. "
        f"{capital(how(points))}, in each panel.{mean} {_units(results, points)}."
    )
    yield "why-mixup", caption, figure


def draw_gains(
    verdicts: StudyVerdicts, name: str, what: str, panels_of: Callable[[Study], Sequence[GainPanel]]
) -> Figures:
    """Draw the paired gains of a study against its images per class; none where it has no such panel."""
    results, axis = verdicts.results, "shots"
    study, metric, every = results.study, metric_of(results.study), panels_of(results.study)
    panels = some(every)
    if not panels:
        return
    points = measure(verdicts, panels, axis, metric)
    crowded = len(study.factors[axis]) > CROWDED
    figure, axes = arranged(len(panels), crowded=crowded, wide=len(panels) > 1 or crowded)
    for ax, panel in zip(axes, panels, strict=True):
        gains(panel, points, axis, SCALES[metric], study.margin, ax)
    label_once(figure, axes, SCALES[metric].gap_axis)
    titles = "; ".join(panel.title for panel in panels)
    told = f"{what} against {factor_name(axis)}: {titles}. {capital(how(points))}."
    if len(panels) < len(every):
        told += f" Drawn: {len(panels)} of {len(every)} pairs of levels."
    mean = averaged(study, [axis, *(each for panel in panels for line in panel.lines for each in line.named)])
    caption = f"{told}{mean} Exploratory where no verdict above says the same. {_units(results, points)}."
    yield f"{name}-by-{axis}".replace("_", "-"), caption, figure


def how(points: Measured) -> str:
    """How paired differences are drawn."""
    shown = any(point.interval for line in points.values() for point in line)
    bars = "bars: 95 % paired t intervals, not adjusted" if shown else "no intervals"
    return (
        f"paired, a dot per seed (crosses: a run of that seed failed); {bars}; {SETTLED}; grey band: margin"
    )


def _units(results: Results, points: Measured) -> str:
    every = [point.unit for line in points.values() for point in line]
    found = {unit.describe(unit.seeds): unit for unit in every}
    return counted(results, [(unit, "") for unit in found.values()])


ROWS = (
    RegistryRow(
        STUDY, bind(draw_gains, name="transfer-gain", what="What fine-tuning gains", panels_of=tunings),
        sweeps=(("shots",), ("finetune", "upstream")), rank=5,
        items=(
            ReportItem(
                "F1.1", "Transfer against scratch", ("Q1",), REPORT,
                "the paired gain of fine-tuning at each number of images per class",
                "fairtrial run shots; on CIFAR-10: fairtrial run shots --preset mini --data parquet:DIR",
                ("transfer-gain-by-shots",), Cells({"finetune": ("full", "scratch")}, pretrained=True),
            ),
            ReportItem(
                "F1.2", "Probe against fine-tune", ("Q1",), REPORT,
                "the paired gain of tuning the whole network over a linear probe on frozen features",
                "fairtrial run shots --set finetune=full,scratch,linear_probe,last --results results/last",
                ("transfer-gain-by-shots",), Cells({"finetune": ("full", "linear_probe")}, pretrained=True),
                "the arm that tunes the last stage, where no line of it is drawn",
            ),
        ),
    ),
    RegistryRow(
        STUDY, bind(draw_gains, name="mixup-gain", what="What MixUp gains", panels_of=mixups),
        sweeps=(("shots",), ("mixup",)), rank=6,
        items=(
            ReportItem(
                "F4.2", "MixUp against the number of images", ("Q4",), REPORT,
                "the paired gain at each number of images",
                "fairtrial run mixup; on CIFAR-10, to 500 a class: "
                "fairtrial run mixup --preset mini --data parquet:DIR",
                ("mixup-gain-by-shots",), Cells({"mixup": (0.0,), "shots": (100,)}),
                "500 images per class, where the axis ends before them: the digits are too few",
            ),
            ReportItem(
                "F4.3", "MixUp at 1 to 10 images", ("Q4",), REPORT,
                "the paired gain where BiT does without MixUp",
                "fairtrial run mixup-few",
                ("mixup-gain-by-shots",), Cells({"mixup": (0.0,), "shots": (1, 2, 5, 10)}),
            ),
            ReportItem(
                "F4.5", "MixUp with each norm", ("Q4", "Q3"), NIGHTLY,
                "an interaction: only its own interval may be quoted", "fairtrial run mixup",
                ("mixup-gain-by-shots",), Cells({"mixup": (0.0,), "norm": ("bn", "gn")}),
            ),
        ),
    ),
    RegistryRow(
        STUDY, draw_why_mixup, sweeps=(("label_noise",), ("mixup",)), rank=6,
        items=(
            ReportItem(
                "F4.6", "Why MixUp", ("Q4",), NIGHTLY,
                "what MixUp changes in likelihood and calibration, and with wrong labels",
                "fairtrial run label-noise",
                ("why-mixup",), Cells({"mixup": (0.0,), "label_noise": (0.0,)}),
            ),
        ),
    ),
    RegistryRow(
        STUDY, bind(draw_gains, name="bn-mode-gain", what="What BN's statistics change", panels_of=bn_modes),
        sweeps=(("shots",), ("bn_mode",)), rank=7,
        items=(
            ReportItem(
                "F3.9", "BN's running statistics in transfer", ("Q3",), NIGHTLY,
                "what frozen or estimated statistics change, paired with updated ones",
                "fairtrial run bn-modes",
                ("bn-mode-gain-by-shots",), Cells({"bn_mode": ("updated", "frozen")}, pretrained=True),
            ),
        ),
    ),
)  # fmt: skip
