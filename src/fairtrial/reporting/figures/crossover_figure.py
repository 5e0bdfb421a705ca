"""Along the schedule: which arm leads, where the lead changes hands (F3.12), and both losses (F3.10)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from textwrap import fill
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fairtrial.reporting.figures.curves import draw_line, name_ends
from fairtrial.reporting.figures.figure_layout import Figures, Places, bars, side_by_side
from fairtrial.reporting.figures.style import ALARM, COLUMN, INK, PAGE, QUIET, Look, looks
from fairtrial.reporting.report_item import FOUR_ARMS, NIGHTLY, REPORT, STUDY, Cells, RegistryRow, ReportItem
from fairtrial.reporting.results.arms import NORM, Group, combinations, group_of, identity
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.verdicts.captions import seeds
from fairtrial.reporting.verdicts.crossover_sentences import (
    CAUTION,
    SCALE,
    count_units,
    describe_accuracies,
    describe_crossovers,
    format_place,
    list_curves,
)
from fairtrial.reporting.verdicts.learning_curve_crossover import IMAGES, SECONDS, STEPS, Crossover, LeadCurve
from fairtrial.reporting.verdicts.sentences import arms
from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts
from fairtrial.reporting.wording import SCALES, listed

_AXES: Final = {STEPS: "optimizer steps", IMAGES: "training images seen", SECONDS: "seconds of training"}
_ROOM: Final = 0.12  # of the heights shown: the least that is seen on each side of 0
_LONG: Final = 60  # characters of both arms' names that do not fit beside a panel
_TICKS: Final = 6
_FARTHEST: Final = 1.5  # times the largest difference of a run: limits beyond it would flatten the runs
_MOST_ARMS: Final = 6  # arms that one panel can hold
_UNDECIDED: Final = Look(INK, "o")
_DODGE: Final = 0.9  # percent of the schedule between two arms

Curves = Mapping[int, Mapping[float, tuple[float, float]]]  # seed -> share -> training, validation loss


def draw_crossovers(verdicts: StudyVerdicts) -> Figures:
    """Draw a row for each contrast with curves: by steps, by seconds; nothing without any."""
    results, found = verdicts.results, verdicts.crossovers
    if not found:
        return
    columns = max(len(crossover.curves) for crossover in found)
    size = (PAGE if columns > 1 else COLUMN, 0.4 + 2.2 * len(found))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(found), columns, squeeze=False, sharey="row")
    for crossover, row in zip(found, axes, strict=True):
        for ax in row[len(crossover.curves) :]:
            ax.set_axis_off()
        _row(results, crossover, row[: len(crossover.curves)])
    yield "crossover", _caption(results, found), figure


def _row(results: Results, crossover: Crossover, row: Sequence[Axes]) -> None:
    """The panels of one contrast on one scale; the arms' names stand where each of them leads."""
    pair, (treatment, control, at) = _looks(results, crossover), arms(crossover.contrast)
    heights = [0.0, *(SCALE.factor * value for curve in crossover.curves for value in _shown(curve))]
    room = _ROOM * (max(heights) - min(heights) or 1)
    low, high = min([*heights, -room]) - room / 3, max([*heights, room]) + room / 3
    for ax, curve in zip(row, crossover.curves, strict=True):
        ax.set_ylim(low, high)
        _panel(curve, pair, ax)
        ax.set_title(fill(f"{treatment} minus {control}{at}", 44))
    row[0].set_ylabel(fill(SCALE.gap_axis, 32))
    for name, look, up in zip(_short(treatment, control), pair, (1, -1), strict=True):
        row[-1].annotate(
            f"{fill(name, 14)}\nleads", (1, 0), xycoords=row[-1].get_yaxis_transform(),
            xytext=(4, 5 * up), textcoords="offset points", va="bottom" if up > 0 else "top",
            color=look.name_color, fontweight="bold", annotation_clip=False,
        )  # fmt: skip


def _short(treatment: str, control: str) -> tuple[str, str]:
    """The names of both arms; of long ones, which the title has in full, the first part that differs."""
    if len(treatment) + len(control) < _LONG:
        return treatment, control
    sides = treatment.split(", "), control.split(", ")
    first, second = ([part for part in one if part not in other] for one, other in (sides, sides[::-1]))
    return first[0] if first else treatment, second[0] if second else control


def _shown(curve: LeadCurve) -> Iterator[float]:
    """Every height of a panel; limits as far as they do not flatten the runs."""
    yield from (float(value) for run in curve.runs.values() for value in run)
    reach = _reach(curve)
    for limits in () if curve.band is None else (curve.band.low, curve.band.high):
        yield from (float(np.clip(value, -reach, reach)) for value in limits)


def _reach(curve: LeadCurve) -> float:
    """How far from 0 limits are drawn."""
    return _FARTHEST * max(float(np.abs(run).max()) for run in curve.runs.values())


def _cut(curve: LeadCurve) -> bool:
    return curve.band is not None and max(-curve.band.low.min(), curve.band.high.max()) > _reach(curve)


def _looks(results: Results, crossover: Crossover) -> list[Look]:
    contrast = crossover.contrast
    shared = {name: level for name, level in contrast.at.items() if name in NORM}
    sides = [{**shared, **side} for side in (contrast.treatment, contrast.control)]
    pair = looks([identity(results.study, side) for side in sides])
    # tints of one colour do not say who leads
    return pair if pair[0].name_color != pair[1].name_color else looks([{}, {}])


def _panel(curve: LeadCurve, pair: Sequence[Look], ax: Axes) -> None:
    """Runs, mean, both bands; the half of each arm in a tint of its colour."""
    xs, factor = curve.places, SCALE.factor
    for (low, high), look in zip(((0, ax.get_ylim()[1]), (ax.get_ylim()[0], 0)), pair, strict=True):
        ax.axhspan(low, high, color=look.color, alpha=0.07, linewidth=0, zorder=0.5)
    ax.axhline(0, color=INK, linewidth=0.8, zorder=1.5)
    for seed, run in curve.runs.items():
        lost = seed in curve.failed
        ax.plot(
            xs, run * factor, color=ALARM if lost else QUIET, linewidth=0.5, alpha=0.9 if lost else 0.6,
            marker="x" if lost else "o", markersize=4 if lost else 2.4, markeredgewidth=0.9 * lost, zorder=2,
        )  # fmt: skip
    if curve.band is not None:
        band = curve.band
        far = 10 * max(map(abs, ax.get_ylim())) / factor  # stands for an infinite limit
        low, high = (np.clip(side, -far, far) for side in (band.low, band.high))
        ax.fill_between(xs, low * factor, high * factor, color=INK, alpha=0.13, linewidth=0, zorder=1)
        near, wide = (np.clip(side, -far, far) for side in (band.pointwise_low, band.pointwise_high))
        ax.vlines(xs, near * factor, wide * factor, color=INK, linewidth=1.4, zorder=3)
    for at, to in curve.undecided if curve.crosses else ():
        ax.plot([at, to], [0, 0], color=INK, linewidth=3.5, solid_capstyle="butt", zorder=3.2)
    ax.plot(xs, curve.mean * factor, color=INK, linewidth=1.1, zorder=3.5)
    for x, mean, ahead in zip(xs, curve.mean, curve.ahead, strict=True):
        look = (pair[0] if ahead > 0 else pair[1]) if ahead else _UNDECIDED
        ax.plot([x], [mean * factor], marker=look.marker, color=look.color, markersize=4.5, zorder=3.6)
    if curve.clock != SECONDS and len(xs) <= _TICKS:
        ax.set_xticks(xs, [format_place(curve.clock, float(x)) for x in xs])
    ax.set_xlabel(_AXES[curve.clock])
    ax.set_xmargin(0.04)


def _caption(results: Results, found: Sequence[Crossover]) -> str:
    curves = list_curves(found)
    banded = [curve.band for curve in curves if curve.band is not None]
    level = f"{100 * results.inference.level:.4g} %"
    points = listed([str(n) for n in sorted({len(curve.places) for curve in curves})])
    bands = (
        f"grey: simultaneous {level} band of each panel (Bonferroni over its {points} points, straight "
        f"between them); bars: {level} paired t intervals of a point alone; coloured marks: the band "
        "excludes 0; black on the line of 0, where both arms are shown to lead: the confidence set of a "
        "crossing, which is where the band contains 0"
        if banded
        else "no intervals"
    )
    unit = "means" + next((f" over{curve.unit.short}" for curve in curves if curve.unit.short), "")
    bands += "; limits that leave a panel stand in the table" if any(map(_cut, curves)) else ""
    return (
        "Which arm leads within its schedule: paired differences in validation accuracy. Thin lines: one per "
        f"seed (crosses: a run of that seed failed, and has chance at every point); thick: {unit}; {bands}. "
        f"{describe_crossovers(found)} {describe_accuracies(found)} {CAUTION}. {count_units(results, found)}."
    )


def draw_learning_curves(verdicts: StudyVerdicts) -> Figures:
    """Draw training and validation loss along the schedule; nothing where the runs did not record them."""
    results = verdicts.results
    arms = combinations(results.study, list(results.study.factors))
    found = [_curves(results, arm) for arm in arms[: _MOST_ARMS + 1]]
    shares = [sorted(set.intersection(*map(set, runs.values()))) if runs else [] for runs in found]
    if len(arms) > _MOST_ARMS or not all(shares):
        return
    figure, panels = side_by_side(2, 2.6, wide=True)
    styles = looks([identity(results.study, arm) for arm in arms])
    intervals = results.sound or verdicts.partial
    shown: list[Group] = []
    for panel, (ax, what) in enumerate(zip(panels, ("training", "validation"), strict=True)):
        ends = []
        for rank, (arm, runs, at, look) in enumerate(zip(arms, found, shares, styles, strict=True)):
            line = [
                group_of(results, arm, {s: run[share][panel] for s, run in runs.items()}, intervals=intervals)
                for share in at
            ]
            xs = [100 * share + _DODGE * (rank - (len(arms) - 1) / 2) for share in at]
            ends.append(
                (line[0].label, draw_line(line, Places(xs, 0.0), look, SCALES["test_loss"], ax), look)
            )
            shown += line
        ax.set_title(f"{what} images")
        ax.set_xlabel("share of the schedule (%)")
        ax.set_ylabel("cross entropy")
        ax.set_xlim(0, 106)
        name_ends(ends if panel else [], ax, each=False)
    yield "learning-curves", _loss_caption(results, shown), figure


def _curves(results: Results, arm: Mapping[str, Any]) -> Curves:
    """Return the finite losses of each finished run at the shares of the schedule that both curves have."""
    return dict(_runs(results, arm))


def _runs(results: Results, arm: Mapping[str, Any]) -> Iterator[tuple[int, dict[float, tuple[float, float]]]]:
    for cell in results.where(arm)["cell"]:
        record = results.records.get(cell)
        if record is None or record.status != "done" or not record.spent.steps:
            continue
        trained = dict(map(tuple, record.measured.train_curve or ()))
        points = {
            round(step / record.spent.steps, 2): (float(trained[step]), float(loss))
            for step, _, loss in record.measured.val_curve or ()
            if step in trained and loss is not None and math.isfinite(loss)
        }
        if points:
            yield record.seed, points


def _loss_caption(results: Results, shown: list[Group]) -> str:
    return (
        "Loss along the schedule on the images trained on (mean over the batches since the point before, as "
        "augmented and mixed, with BN's statistics of the batch) and on validation images. An arm that is "
        f"lower on the left and not on the right fits without generalizing. Dots are single runs; "
        f"{bars(shown)}. {seeds(results)}."
    )


ROWS = (
    RegistryRow(STUDY, draw_crossovers, rank=8, items=(
        ReportItem(
            "F3.12", "Who leads at each step and each second", ("Q3",), REPORT,
            "where the lead changes hands within one schedule, on validation images, with its confidence set",
            "fairtrial run norm; upstream with more seeds: "
            "fairtrial run upstream --data parquet:DIR --seeds 10",
            ("crossover",), Cells(FOUR_ARMS), "a narrow band upstream, where five seeds are few",
        ),
    )),
    RegistryRow(STUDY, draw_learning_curves, rank=9, items=(
        ReportItem(
            "F3.10", "Training and validation loss", ("Q3",), NIGHTLY,
            "that a lower training loss is not a lower loss on new images", "fairtrial run norm",
            ("learning-curves",), Cells({"norm": ()}),
        ),
    )),
)  # fmt: skip
