"""Bench results as pictures: throughput by batch size, ratios with their rounds, the roofline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from fairtrial.reporting.figures import style
from fairtrial.reporting.figures.figure_layout import Figures
from fairtrial.reporting.report_item import BENCH, SMOKE, RegistryRow, ReportItem
from fairtrial.reporting.results.timings import Numbers, Timing, machine_of, number
from fairtrial.study.limits import MIN_UNITS

LOOKS: Final = {  # of subjects, the same in every picture
    "conv": style.Look("#3d3d3d", "o", style.DASHED),
    "bn": style.Look("#c8500a", "o", style.DASHED),
    "floor": style.Look("#3d3d3d", "o", style.DASHED),
    "fastest": style.Look("#0b4a8f", "D"),
    "compiled": style.Look("#0b4a8f", "D"),
    "triton": style.Look("#0b4a8f", "D"),
    "torch": style.Look("#3f97d1", "^"),
    "layer_norm": style.Look("#3f97d1", "^"),
    "plain": style.Look("#c98a00", "s"),
    "var_mean": style.Look("#c98a00", "s"),
    "batch_norm": style.Look("#8d2f68", "X"),
}
OTHER: Final = style.Look(style.QUIET, "v")
RATIOS: Final = {"filters": ("filters",), "steps": ("step", "arms")}  # picture -> the tasks in it
MARKS: Final = (0.25, 0.5, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.5, 1.7, 2, 2.5, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100)
ROW, GAP = 0.15, 0.7  # inches of a row; rows between two timings


def look_of(name: str) -> style.Look:
    """The look of a subject; 'gn+ws torch' has that of its kernels."""
    return LOOKS.get(name) or LOOKS.get(name.rpartition(" ")[2], OTHER)


def speed_figures(timings: Sequence[Timing]) -> Figures:
    """Draw every figure that the timings allow."""
    models = _by_model(timings)
    for model, mine in models.items():
        yield f"throughput-{model}", _throughput_caption(model, mine), throughput(mine)
    shown = {id(timing) for mine in models.values() for timing in mine}
    for name, tasks in RATIOS.items():
        compared = [
            timing for task in tasks for timing in timings if timing.task == task and id(timing) not in shown
        ]
        if not compared:
            continue
        rounds = _span(len(timing.rounds_s[timing.reference]) for timing in compared)
        caption = (
            "Time as a multiple of the reference, which is named in bold. Dots: rounds, each against the "
            f"reference's round beside it ({rounds} a subject, interleaved in one process); bars: their "
            "quartiles; markers: ratio of medians, also in figures; a dot beyond the frame lies on its edge. "
            f"{machine_of(compared)}."
        )
        yield f"ratios-{name}", caption, ratios(compared)
    counted = [timing for timing in timings if timing.bound_s and number(timing.extra_info, "flops")]
    if counted:
        yield "roofline", _roofline_caption(counted), roofline(counted)


def _by_model(timings: Sequence[Timing]) -> dict[str, list[Timing]]:
    """Steps of one batch each, by model, where there are several batch sizes to draw a line through."""
    found: dict[str, list[Timing]] = {}
    for timing in timings:
        if timing.task == "step" and _has_batch(timing):
            found.setdefault(str(timing.extra_info["model"]), []).append(timing)
    for mine in found.values():
        mine.sort(key=lambda timing: timing.extra_info["batch_size"])
    same = {model: len({tuple(timing.rounds_s) for timing in mine}) == 1 for model, mine in found.items()}
    return {model: mine for model, mine in found.items() if len(mine) >= MIN_UNITS and same[model]}


def _has_batch(timing: Timing) -> bool:
    single = timing.extra_info.get("micro_batches") == 1 and isinstance(timing.extra_info.get("model"), str)
    return single and None not in (
        number(timing.extra_info, "batch_size"),
        number(timing.extra_info, "images"),
    )


def throughput(timings: Sequence[Timing]) -> Figure:
    """Images per second by batch size, and beside it the time as a multiple of plain convolutions."""
    figure = Figure(figsize=(style.PAGE, 2.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = list(timings[0].rounds_s)
    rates = {
        name: [timing.extra_info["images"] / timing.rounds_s[name] for timing in timings] for name in names
    }
    left.set_yscale("log")
    _lines(left, timings, rates)
    left.set_ylabel("images per second")
    _lines(right, timings, {name: [timing.by_round(name) for timing in timings] for name in names[1:]})
    right.axhline(1, color=style.QUIET, linewidth=0.8, linestyle=style.DASHED)
    right.set_ylabel("time / conv")  # "plain" is the name of a kernel
    _plain_numbers(left)
    return figure


def _lines(ax: Axes, timings: Sequence[Timing], values: dict[str, list[Numbers]]) -> None:
    """A line of medians per subject, with quartiles and every round."""
    sizes = np.array([timing.extra_info["batch_size"] for timing in timings], dtype=float)
    ends = {}
    for index, (name, found) in enumerate(values.items()):
        look, shift = look_of(name), 2 ** (0.07 * (index - (len(values) - 1) / 2))
        low, middle, high = (np.array([np.quantile(each, q) for each in found]) for q in (0.25, 0.5, 0.75))
        for size, each in zip(sizes * shift, found, strict=True):
            ax.scatter(np.full(len(each), size), each, s=3, color=look.color, alpha=0.3, linewidths=0)
        ax.vlines(sizes * shift, low, high, color=look.color, linewidth=1.6)
        ax.plot(
            sizes * shift, middle, color=look.color, linestyle=look.dash, marker=look.marker, markersize=3.5,
            linewidth=1,
        )  # fmt: skip
        ends[name] = float(middle[-1])
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [f"{size:g}" for size in sizes])
    ax.minorticks_off()
    ax.set_xlabel("images per batch")
    _name_ends(ax, ends, float(sizes[-1]))


def _name_ends(ax: Axes, ends: dict[str, float], at: float) -> None:
    """The name of each line beside its end; names are moved apart."""
    ax.margins(y=0.12)
    ax.set_xlim(right=at * 1.2)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high)
    to_axes = ax.transData + ax.transAxes.inverted()
    places = [float(to_axes.transform((at, value))[1]) for value in ends.values()]
    for name, place in zip(ends, style.spread(places, 0.07, (0.0, 1.0)), strict=True):
        ax.annotate(
            name, (1.0, place), xycoords="axes fraction", xytext=(3, 0), textcoords="offset points",
            color=look_of(name).name_color, va="center", annotation_clip=False, fontsize=7,
        )  # fmt: skip


def ratios(timings: Sequence[Timing]) -> Figure:
    """One row per subject, by bench; on a logarithmic axis a ratio and its inverse are equally far."""
    count = sum(len(timing.arms) for timing in timings) + GAP * len(timings)
    figure = Figure(figsize=(style.PAGE, 0.5 + ROW * (count + len(timings))), layout="constrained")
    ax = figure.subplots()
    each = [(timing, name) for timing in timings for name in timing.arms]
    middles = [1.0, *(timing.times(name) for timing, name in each)]
    ends = [end for timing, name in each for end in _quartiles(timing, name)]
    low, high = min(min(middles) / 1.25, min(ends) / 1.05), max(max(middles) * 1.25, max(ends) * 1.05)
    place, ticks = 0.0, []
    for timing in timings:
        ticks.append((place, f"{timing.group.removesuffix(', float32')}  (1 = {timing.reference})", True))
        for name in timing.arms:
            place += 1
            ticks.append((place, name, False))
            _row(ax, timing, name, place, (low, high))
        place += 1 + GAP
    ax.axvline(1, color=style.QUIET, linewidth=0.8, linestyle=style.DASHED)
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    marks = _apart([mark for mark in MARKS if low < mark < high], (high / low) ** 0.06)
    ax.set_xticks(marks, [f"{mark:g}" for mark in marks])
    ax.minorticks_off()
    ax.set_ylim(place - GAP, -0.8)
    ax.set_yticks([each[0] for each in ticks], [each[1] for each in ticks])
    for label, (_, _, heading) in zip(ax.get_yticklabels(), ticks, strict=True):
        label.set_fontweight("bold" if heading else "normal")
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("time / reference")
    return figure


def _quartiles(timing: Timing, name: str) -> tuple[float, float]:
    """The first and the third, of the ratio round by round."""
    first, third = np.quantile(timing.by_round(name), [0.25, 0.75])
    return float(first), float(third)


def _apart(marks: list[float], step: float) -> list[float]:
    """1, and the marks that are `step` times away from those kept before, outwards from it."""
    kept = [1.0]
    for mark in sorted(marks, key=lambda mark: abs(np.log(mark))):
        if all(max(mark / each, each / mark) >= step for each in kept):
            kept.append(mark)
    return sorted(kept)


def _row(ax: Axes, timing: Timing, name: str, place: float, within: tuple[float, float]) -> None:
    look, each = look_of(name), timing.by_round(name)
    first, third = _quartiles(timing, name)
    ax.scatter(
        np.clip(each, *within), np.full(len(each), place), s=4, color=look.color, alpha=0.35, linewidths=0
    )
    ax.hlines(place, first, third, color=look.color, linewidth=2)
    ax.plot(timing.times(name), place, marker=look.marker, color=look.color, markersize=4)
    ax.annotate(
        f"{timing.times(name):.2f}", (1.0, place), xycoords=("axes fraction", "data"), xytext=(4, 0),
        textcoords="offset points", va="center_baseline", fontsize=7, color=look.name_color,
        annotation_clip=False,
    )  # fmt: skip


def roofline(timings: Sequence[Timing]) -> Figure:
    """Operations per second against operations per byte, under what the machine can do."""
    figure = Figure(figsize=(style.COLUMN, 2.9), layout="constrained")
    ax = figure.subplots()
    roofs = [timing.extra_info["roof"] for timing in timings]
    copy = float(np.median([roof["copy_bytes_per_s"] for roof in roofs])) / 1e9
    matrix = float(np.median([roof["matrix_flops_per_s"] for roof in roofs])) / 1e9
    reach = [timing.extra_info["flops"] / timing.extra_info["bytes_moved"] for timing in timings]
    x = np.geomspace(min([*reach, matrix / copy]) / 2, max([*reach, matrix / copy]) * 2.5, 200)
    ax.plot(x, np.minimum(copy * x, matrix), color=style.INK, linewidth=1)
    for task, marker, color in (
        ("std-conv", "o", "#3f97d1"),
        ("step", "D", "#0b4a8f"),
        ("arms", "s", "#c8500a"),
    ):
        mine = [(at, timing) for at, timing in zip(reach, timings, strict=True) if timing.task == task]
        for at, timing in mine:
            rate = timing.extra_info["flops"] / timing.rounds_s[str(timing.extra_info["recorded"])] / 1e9
            ax.vlines(at, *np.quantile(rate, [0.25, 0.75]), color=color, linewidth=1)
            ax.plot(at, np.median(rate), marker=marker, color=color, markersize=3.5, alpha=0.8, linewidth=0)
        if mine:
            ax.plot([], [], marker=marker, color=color, markersize=3.5, linewidth=0, label=task)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("operations per byte")
    ax.set_ylabel("GFLOP/s")
    _plain_numbers(ax, both=True)
    ax.annotate(
        f"matrices {matrix:,.0f} GFLOP/s",
        (x[-1], matrix),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
    )
    middle = float(np.sqrt(x[0] * matrix / copy))  # of the slope
    ax.annotate(
        f"copy {copy:,.{0 if copy > 100 else 1}f} GB/s",
        (middle, copy * middle),
        xytext=(7, -3),  # right of the slope: left of it are the numbers of the axis
        textcoords="offset points",
        ha="left",
        va="top",
    )
    ax.legend(loc="lower right", frameon=False, fontsize=7, handletextpad=0.3)
    return figure


def _plain_numbers(ax: Axes, both: bool = False) -> None:
    """Ticks as people write numbers."""
    for axis in (ax.xaxis, ax.yaxis) if both else (ax.yaxis,):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(lambda value, _: f"{value:,g}")
        axis.set_minor_formatter(lambda value, _: "")


def _throughput_caption(model: str, timings: Sequence[Timing]) -> str:
    rounds = _span(len(timing.rounds_s[timing.reference]) for timing in timings)
    side = timings[0].extra_info.get("side", "?")
    return (
        f"Forward, cross entropy and backward of {model} with GN at {side} px, by batch size: standardized "
        "filters by three kinds of kernels, and plain convolutions (conv). Dots: rounds; lines: medians; "
        f"bars: quartiles ({rounds} rounds a point, interleaved in one process). Right: time over that of "
        f"conv in the round beside it. {machine_of(timings)}."
    )


def _roofline_caption(timings: Sequence[Timing]) -> str:
    return (
        "Operations per second against operations per byte of each bench whose operations are counted, by "
        "the fastest kernels; bars: quartiles of the rounds. Lines: copy bandwidth (read and written) and "
        "matrix rate, measured in the same process. Bytes: the least that must move; what a cache still "
        f"holds lies above the slope. {machine_of(timings)}."
    )


def _span(counts: Iterator[int]) -> str:
    found = sorted(set(counts))
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


ROWS = (
    RegistryRow(BENCH, speed_figures, items=(
        ReportItem(
            "F2.4", "What standardized filters cost", ("Q2",), SMOKE,
            "a ratio of times on the machine that is named, with its quartiles; no accuracy",
            "tox -e bench", ("ratios-filters", "throughput-*", "speed"),
        ),
    )),
)  # fmt: skip
