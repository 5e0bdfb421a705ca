"""F2.3: how the signal grows with depth at the start, by norm and weight standardization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fairtrial.reporting.figures import style
from fairtrial.reporting.report.report_item import Exhibit, network, probed, said_of
from fairtrial.study.factors import name_of_norm

PANELS: Final = {
    "square_mean": "squared mean of channels",
    "variance": "variance of channels",
    "branch_variance": "variance of the branch",
}
BEYOND: Final = 1e9  # an arm that grows more leaves the frame; its end stands in the caption
STAGES: Final = (3, 4, 6, 3)  # units of R50's blocks


def exhibit(results: Path) -> Exhibit:
    """The record of `fairtrial probe signal`."""
    found = probed(results, "signal")
    values = found["values"]
    runs = len(values["arms"][0]["runs"])
    caption = (
        f"The signal through {network(values['model'])} at its start, unit by unit (dotted: a block begins): "
        "mean over channels of the squared channel mean, of the channel variance, and of the variance at the "
        "end of the residual branch, before the sum; log scale. Thin: each of "
        f"n = {runs} starts (init and input drawn anew, equal in all arms); thick: their geometric mean, no "
        f"interval. {leaving(values['arms'])}Input: {values['images']} images of standard normal noise, "
        f"{values['side']} x {values['side']} pixels; BN on batch statistics; float64. none+sws: scaled "
        "standardization without the factors alpha and beta of norm-free networks. After Brock et al. "
        "(2021), "
        f"Figure 1. {said_of(found)}"
    )
    return Exhibit("F2.3", "figure", draw(values["arms"]), caption)


def leaving(arms: Sequence[Mapping[str, Any]]) -> str:
    """'none+ws leaves the frame: its variance ends at 1e111. ' of every arm that does; or nothing."""
    found = []
    for arm in arms:
        values = by_unit(arm, "variance")
        if values.max() > BEYOND:
            power = np.log10(values[:, -1]).mean()
            found.append(f"{name_of_norm(dict(arm))} leaves the frame: its variance ends at 1e{power:.0f}. ")
    return "".join(found)


def draw(arms: Sequence[Mapping[str, Any]]) -> Figure:
    """A panel per quantity; the names of the arms in a legend above."""
    figure = Figure(figsize=(style.PAGE, 2.6), layout="constrained")
    axes = figure.subplots(1, len(PANELS))
    looks = style.looks([{"norm": arm["norm"], "weight_std": arm["weight_std"]} for arm in arms])
    for ax, (key, title) in zip(axes, PANELS.items(), strict=True):
        for arm, look in zip(arms, looks, strict=True):
            _arm(by_unit(arm, key), look, name_of_norm(dict(arm)), ax)
        for start in np.cumsum(STAGES)[:-1]:
            ax.axvline(start + 0.5, color=style.QUIET, linewidth=0.6, linestyle=style.DOTTED)
        ax.set_yscale("log")
        low, high = frame([by_unit(arm, key) for arm in arms])
        ax.set_ylim(10.0**low, 10.0**high)
        powers = range(low, high + 1, 1 + (high - low) // 8)
        ax.set_yticks([10.0**power for power in powers], [f"1e{power}" for power in powers])
        ax.minorticks_off()
        ax.set_title(title)
        ax.set_xlabel("residual unit")
    lines, names = axes[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside upper center", ncols=len(arms), frameon=False, fontsize=7)
    return figure


def frame(arms: Sequence[np.ndarray]) -> tuple[int, int]:
    """The powers of ten that hold every arm but those that grow beyond BEYOND times the input's variance."""
    kept = [values for values in arms if values.max() <= BEYOND] or list(arms)
    low, high = min(values.min() for values in kept), max(values.max() for values in kept)
    return int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))


def by_unit(arm: Mapping[str, Any], key: str) -> np.ndarray:
    """(starts, units) of one quantity."""
    return np.array([[unit[key] for unit in run] for run in arm["runs"]])


def _arm(values: np.ndarray, look: style.Look, name: str, ax: Axes) -> None:
    units = np.arange(1, values.shape[1] + 1)
    for run in values:
        ax.plot(units, run, color=look.color, linewidth=0.4, alpha=0.35)
    middle = np.exp(np.log(values).mean(0))
    ax.plot(
        units, middle, color=look.color, linestyle=look.dash, marker=look.marker, markersize=3, linewidth=1.2,
        label=name,
    )  # fmt: skip
