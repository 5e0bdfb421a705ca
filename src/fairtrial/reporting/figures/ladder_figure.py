"""A ladder of arms drawn: the metric on each rung, and what each step earns when added and when left out."""

from __future__ import annotations

from typing import Final

from matplotlib.axes import Axes

from fairtrial.reporting.figures.arm_rows import PITCH, dots, named, row
from fairtrial.reporting.figures.figure_layout import RUNS, Figures, bars, side_by_side
from fairtrial.reporting.figures.style import BAND, INK, QUIET, Look, look_of_norm
from fairtrial.reporting.report_item import REPORT, STUDY, Cells, RegistryRow, ReportItem
from fairtrial.reporting.results.arms import gather, metric_of
from fairtrial.reporting.results.paired_sides import has_limits
from fairtrial.reporting.verdicts.captions import seeds
from fairtrial.reporting.verdicts.ladder_steps import ladder, rung_names
from fairtrial.reporting.verdicts.rulings import Finding
from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts
from fairtrial.reporting.wording import SCALES, Scale

_APART: Final = 0.2  # of a rung, between what is added and what is left out
_ADDED, _LEFT_OUT = look_of_norm("gn+ws"), look_of_norm("bn")
_RUNG: Final = Look(INK, "D")


def ladder_figure(verdicts: StudyVerdicts) -> Figures:
    """Draw the rungs from top to bottom; nothing where the study declares no ladder."""
    results, findings, partial = verdicts.results, verdicts.findings, verdicts.partial
    found = ladder(results.study)
    if found is None:
        return
    metric = metric_of(results.study)
    scale, intervals = SCALES[metric], results.sound or partial
    names = list(results.study.factors)
    every = {tuple(g.levels.values()): g for g in gather(results, names, metric, intervals=intervals)}
    groups = [every[tuple(rung.values())] for rung in found.rungs]
    figure, (left, right) = side_by_side(2, 0.8 + PITCH * len(groups), wide=True, sharey=True)
    left.plot([g.centre * scale.factor for g in groups], range(len(groups)), color=QUIET, linewidth=0.8)
    for y, group in enumerate(groups):
        row(group, y, _RUNG, scale, left)
    named(rung_names(found), left)
    left.set_xlabel(scale.axis)
    right.axvspan(*(sign * results.study.margin * scale.factor for sign in (-1, 1)), color=BAND, zorder=0.5)
    right.axvline(0, color=INK, linewidth=0.8, zorder=1.5)
    for y, step in enumerate(found.steps, start=1):
        _gain(findings[step.added], y - _APART, True, scale, right)
        if step.left_out is not None and step.left_out != step.added:
            _gain(findings[step.left_out], y + _APART, False, scale, right)
    for place, text, look in (
        (-0.2, "added in this order", _ADDED),
        (0.2, "left out of the last rung", _LEFT_OUT),
    ):
        beside = right.get_yaxis_transform()  # where no step is drawn
        right.text(
            0.99, place, text, transform=beside, color=look.color, weight="bold", ha="right", va="center"
        )
    right.set_xlabel(scale.gap_axis)
    right.tick_params(left=False)
    right.grid(False, axis="y")
    told = "blue: added in this order; orange: left out of the last rung"
    shown = any(has_limits(finding.interval) for finding in findings)
    thick = f"bars: {results.inference.name}, not adjusted" if shown else "no intervals"
    caption = (
        f"From the first arm to the last, a step in one factor at a time. Left: {scale.name} on each rung. "
        f"{RUNS}; {bars(groups, 'horizontal')}. Right: what each step earns, paired, a dot per seed: {told}; "
        f"{thick}; grey band: margin. The verdicts stand with the contrasts. {seeds(results)}."
    )
    yield "ladder", caption, figure


def _gain(finding: Finding, y: float, added: bool, scale: Scale, ax: Axes) -> None:
    """One paired difference with its interval."""
    look = _ADDED if added else _LEFT_OUT
    dots(finding.differences, finding.failed_seeds, y - 0.13, look.color, scale, ax)
    if finding.interval is None:
        return
    if has_limits(finding.interval) and finding.verdict != "refused":
        ends = [finding.interval.low * scale.factor, finding.interval.high * scale.factor]
        ax.plot(ends, [y, y], color=look.color, linewidth=1.8, solid_capstyle="butt", zorder=3)
    ax.plot(
        finding.interval.estimate * scale.factor, y, look.marker, markersize=4.4, zorder=3.5,
        color=look.color, markeredgecolor="white", markeredgewidth=0.5,
    )  # fmt: skip


ROWS = (
    RegistryRow(STUDY, ladder_figure, rank=9, items=(
        ReportItem(
            "T2.1", "From ResNet to BiT, step by step", ("Q2",), REPORT,
            "what each step is worth in this order, and left out of the whole; "
            "another order may pay otherwise",
            "fairtrial run ladder; on CIFAR-10: fairtrial run ladder --preset mini --data parquet:DIR",
            ("ladder",),
            Cells({"block": ("post-activation", "pre-activation"), "stride_on": (), "head": ()}),
        ),
    )),
)  # fmt: skip
