"""F3.5: how noisy BN's statistics are, by the images that they are taken over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fairtrial.reporting.figures import style
from fairtrial.reporting.report.report_item import Exhibit, probed, said_of
from fairtrial.reporting.wording import clean

LAYERS: Final = {  # as recorded -> shown; the last norm of each block, and the one before the head
    "body.block1.unit02.norm3": "block 1",
    "body.block2.unit02.norm3": "block 2",
    "body.block3.unit02.norm3": "block 3",
    "head.norm": "head",
}
SHADES: Final = ("#c98a00", "#c8500a", "#8d2f68", "#3d3d3d")
MARKS: Final = ("o", "s", "^", "D")


def exhibit(results: Path) -> Exhibit:
    """The record of `fairtrial probe statistics`."""
    found = probed(results, "statistics")
    values = found["values"]
    slopes = [slope(values, layer) for layer in LAYERS]
    caption = (
        "Noise of BN's batch statistics against the images that they are taken over: SD over "
        f"{values['batches']} batches of a channel's mean (in units of the channel's SD) and of its "
        "log-variance, root mean square over channels; right: distance of the features in training mode from "
        "those in evaluation mode, in units of their SD over images. Dots: each of "
        f"n = {len(values['nets'])} pre-trained networks (mini, BN; the upstream seed is the unit); lines: "
        "their mean, no interval. Dashed: 1/sqrt(B x HW), as if all pixels were independent; those of one "
        "image are not. Slope of log SD of the mean on log B: "
        f"{min(slopes):.2f} to {max(slopes):.2f} (1/sqrt(B): -0.50). Images: {clean(values['data'])}, "
        "training "
        f"split, {values['side']} x {values['side']} pixels. {said_of(found)}"
    )
    return Exhibit("F3.5", "figure", draw(values), caption)


def slope(values: Mapping[str, Any], layer: str) -> float:
    """The least-squares slope of log SD of the mean on log batch size, over all networks."""
    sizes = np.log(np.tile(values["sizes"], len(values["nets"])))
    deviations = np.log(np.concatenate([net["layers"][layer]["mean"] for net in values["nets"]]))
    return float(np.polyfit(sizes, deviations, 1)[0])


def draw(values: Mapping[str, Any]) -> Figure:
    """Noise of the mean, noise of the log-variance, and what it does to the features."""
    figure = Figure(figsize=(style.PAGE, 2.6), layout="constrained")
    axes = figure.subplots(1, 3)
    sizes, nets = values["sizes"], values["nets"]
    for ax, key, title in zip(axes, ("mean", "log_variance"), ("batch mean", "log-variance"), strict=False):
        for (layer, name), color, marker in zip(LAYERS.items(), SHADES, MARKS, strict=True):
            rows = [net["layers"][layer] for net in nets]
            _line(sizes, [row[key] for row in rows], color, marker, name, ax)
            if key == "mean":
                ideal = 1 / np.sqrt(np.array(sizes) * rows[0]["pixels"])
                ax.plot(sizes, ideal, color=color, linestyle=style.DASHED, linewidth=0.8)
        ax.set_title(title)
    _line(sizes, [net["gap"] for net in nets], style.look_of_norm("bn").color, "o", "features", axes[2])
    axes[2].set_title("features, training against evaluation")
    axes[0].legend(frameon=False, fontsize=7)
    axes[0].set_ylabel("standard deviation, relative")
    for ax in axes:
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.set_xticks(sizes, [str(size) for size in sizes])
        ax.set_xlabel("images per statistic")
        _plain(ax)
    return figure


def _line(
    sizes: Sequence[int], runs: Sequence[Sequence[float]], color: str, marker: str, name: str, ax: Axes
) -> None:
    for run in runs:
        ax.scatter(sizes, run, s=9, color=color, alpha=0.35, linewidths=0)
    ax.plot(
        sizes, np.mean(runs, axis=0), color=color, marker=marker, markersize=3.5, linewidth=1.2, label=name
    )


def _plain(ax: Axes) -> None:
    """Ticks of a log axis as numbers."""
    low, high = ax.get_ylim()
    steps = (1, 2, 5) if high > 10 * low else (1, 2, 3, 4, 5, 6, 7, 8, 9)  # a short axis needs closer ones
    every = (step * 10.0**power for power in range(-3, 1) for step in steps)
    marks = [mark for mark in every if low <= mark <= high]
    ax.set_yticks(marks, [f"{mark:g}" for mark in marks])
    ax.minorticks_off()
