"""F3.6: how smooth the loss is along a training, with and without weight standardization."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fairtrial.reporting.figures import style
from fairtrial.reporting.figures.figure_layout import Figures, plain_ticks
from fairtrial.reporting.report_item import (
    NIGHTLY,
    RESULTS,
    RegistryRow,
    ReportItem,
    measured_by,
    read_measurement,
)
from fairtrial.reporting.results.smoothness_ratios import by_look, log_ratio
from fairtrial.reporting.wording import clean
from fairtrial.study.factors import name_of_norm

PANELS: Final = {
    "gradient_change": "change of the gradient",
    "loss_range": "range of the loss",
    "top_eigenvalue": "top eigenvalue",
}


def smoothness_figure(results: Path) -> Figures:
    """Draw the record of `fairtrial probe smoothness`."""
    record = read_measurement(results, "smoothness")
    values = record["values"]
    runs = len(values["arms"][0]["runs"])
    ratios = ", ".join(f"{norm} {ratio_words(values, norm)}" for norm in ("bn", "gn"))
    setting = f"lr {values['lr']:g}, batch {values['batch']}, {clean(values['data'])}"
    caption = (
        "Smoothness of the loss along a training, relative to the size of each layer's filters: change of "
        "the gradient per step down it, range of the loss over these steps, top eigenvalue of the Hessian. "
        f"Thin: n = {runs} starts; thick: geometric mean. Change, WS over plain: {ratios} (95 % t). Arms "
        f"share updates, not losses: {setting}. {measured_by(record)}"
    )
    yield "f3-6", caption, _panels(values)


def ratio_words(values: Mapping[str, Any], norm: str) -> str:
    """'0.62 [0.51, 0.75]': WS over plain in the change of the gradient; a paired t interval of the log."""
    found = log_ratio(values, norm)
    return f"{math.exp(found.estimate):.2f} [{math.exp(found.low):.2f}, {math.exp(found.high):.2f}]"


def _panels(values: Mapping[str, Any]) -> Figure:
    figure = Figure(figsize=(style.PAGE, 2.6), layout="constrained")
    axes = figure.subplots(1, len(PANELS))
    arms = values["arms"]
    looks = style.looks([{"norm": arm["norm"], "weight_std": arm["weight_std"]} for arm in arms])
    for ax, (key, title) in zip(axes, PANELS.items(), strict=True):
        for arm, look in zip(arms, looks, strict=True):
            _arm(values["looks"], by_look(arm, key), look, name_of_norm(dict(arm)), ax)
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.set_xticks(values["looks"], [str(step) for step in values["looks"]])
        plain_ticks(ax)
        ax.set_title(title)
        ax.set_xlabel("updates")
    lines, names = axes[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside upper center", ncols=len(arms), frameon=False, fontsize=7)
    return figure


def _arm(steps: list[int], values: np.ndarray, look: style.Look, name: str, ax: Axes) -> None:
    for run in values:
        ax.plot(steps, run, color=look.color, linewidth=0.4, alpha=0.35, marker="o", markersize=1.6)
    middle = np.exp(np.log(values).mean(0))
    ax.plot(
        steps, middle, color=look.color, linestyle=look.dash, marker=look.marker, markersize=3, linewidth=1.2,
        label=name,
    )  # fmt: skip


ROWS = (
    RegistryRow(RESULTS, smoothness_figure, items=(
        ReportItem(
            "F3.6", "Smoothness of the loss", ("Q3",), NIGHTLY,
            "a ratio corrected for the scale of the weights, on one batch at a time",
        ),
    )),
)  # fmt: skip
