"""Figures of recorded measurements: signal at the start (F2.3), noise of BN (F3.5), axes of norms (F3.7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from fairtrial.reporting.figures import style
from fairtrial.reporting.figures.figure_layout import Figures, plain_ticks
from fairtrial.reporting.report_item import (
    NIGHTLY,
    RESULTS,
    SMOKE,
    RegistryRow,
    ReportItem,
    measured_by,
    network_name,
    read_measurement,
)
from fairtrial.reporting.wording import clean
from fairtrial.study.factors import name_of_norm

_SIGNAL_PANELS: Final = {
    "square_mean": "squared mean of channels",
    "variance": "variance of channels",
    "branch_variance": "variance of the branch",
}
BEYOND: Final = 1e9  # an arm that grows more leaves the frame; its end stands in the caption
STAGES: Final = (3, 4, 6, 3)  # units of R50's blocks
LAYERS: Final = {  # as recorded -> shown; the last norm of each block, and the one before the head
    "body.block1.unit02.norm3": "block 1",
    "body.block2.unit02.norm3": "block 2",
    "body.block3.unit02.norm3": "block 3",
    "head.norm": "head",
}
_LAYER_SHADES: Final = ("#c98a00", "#c8500a", "#8d2f68", "#3d3d3d")
_LAYER_MARKS: Final = ("o", "s", "^", "D")
_AXES_NAMES: Final = {
    "bn": "BatchNorm",
    "ln": "LayerNorm",
    "in": "InstanceNorm",
    "gn": "GroupNorm",
    "ws": "Weight Std.",
}
_AXES_COLORS: Final = {"bn": "bn", "ln": "ln", "in": "in", "gn": "gn", "ws": "gn+ws"}
SLANT: Final = (0.42, 0.30)  # of one step backwards
EMPTY: Final = "#f4f4f1"


def signal_figure(results: Path) -> Figures:
    """Draw the record of `fairtrial probe signal`."""
    record = read_measurement(results, "signal")
    values = record["values"]
    runs = len(values["arms"][0]["runs"])
    caption = (
        f"The signal through {network_name(values['model'])} at its start, unit by unit (dotted: a block "
        "begins): mean over channels of the squared channel mean, of the channel variance, and of the "
        "variance at the end of the residual branch, before the sum; log scale. Thin: each of "
        f"n = {runs} starts (init and input drawn anew, equal in all arms); thick: their geometric mean, no "
        f"interval. {leaving(values['arms'])}Input: {values['images']} images of standard normal noise, "
        f"{values['side']} x {values['side']} pixels; BN on batch statistics; float64. none+sws: scaled "
        "standardization without the factors alpha and beta of norm-free networks. After Brock et al. "
        "(2021), "
        f"Figure 1. {measured_by(record)}"
    )
    yield "f2-3", caption, _signal_panels(values["arms"])


def leaving(arms: Sequence[Mapping[str, Any]]) -> str:
    """'none+ws leaves the frame: its variance ends at 1e111. ' of every arm that does; or nothing."""
    found = []
    for arm in arms:
        values = by_unit(arm, "variance")
        if values.max() > BEYOND:
            power = np.log10(values[:, -1]).mean()
            found.append(f"{name_of_norm(dict(arm))} leaves the frame: its variance ends at 1e{power:.0f}. ")
    return "".join(found)


def _signal_panels(arms: Sequence[Mapping[str, Any]]) -> Figure:
    """A panel per quantity; the names of the arms in a legend above."""
    figure = Figure(figsize=(style.PAGE, 2.6), layout="constrained")
    axes = figure.subplots(1, len(_SIGNAL_PANELS))
    looks = style.looks([{"norm": arm["norm"], "weight_std": arm["weight_std"]} for arm in arms])
    for ax, (key, title) in zip(axes, _SIGNAL_PANELS.items(), strict=True):
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


def noise_figure(results: Path) -> Figures:
    """Draw the record of `fairtrial probe statistics`."""
    record = read_measurement(results, "statistics")
    values = record["values"]
    slopes = [slope(values, layer) for layer in LAYERS]
    gap = np.mean([net["gap"] for net in values["nets"]], axis=0)
    caption = (
        "Noise of BN's batch statistics against the images that they are taken over: SD over "
        f"{values['batches']} batches of a channel's mean (in units of the channel's SD) and of its "
        "log-variance, root mean square over channels; right: distance of the features in training mode from "
        f"those in evaluation mode, in units of their SD over images: {gap[0]:.1f} at {values['sizes'][0]}, "
        f"{gap[-1]:.1f} at {values['sizes'][-1]} (running averages are of pre-training, on other images). "
        "Dots: each of "
        f"n = {len(values['nets'])} pre-trained networks (mini, BN; the upstream seed is the unit); lines: "
        "their mean, no interval. Dashed: 1/sqrt(B x HW), as if all pixels were independent; those of one "
        "image are not. Slope of log SD of the mean on log B: "
        f"{min(slopes):.2f} to {max(slopes):.2f} (1/sqrt(B): -0.50). Images: {clean(values['data'])}, "
        "training "
        f"split, {values['side']} x {values['side']} pixels. {measured_by(record)}"
    )
    yield "f3-5", caption, _noise_panels(values)


def slope(values: Mapping[str, Any], layer: str) -> float:
    """The least-squares slope of log SD of the mean on log batch size, over all networks."""
    sizes = np.log(np.tile(values["sizes"], len(values["nets"])))
    deviations = np.log(np.concatenate([net["layers"][layer]["mean"] for net in values["nets"]]))
    return float(np.polyfit(sizes, deviations, 1)[0])


def _noise_panels(values: Mapping[str, Any]) -> Figure:
    """Noise of the mean, noise of the log-variance, and what it does to the features."""
    figure = Figure(figsize=(style.PAGE, 2.6), layout="constrained")
    axes = figure.subplots(1, 3)
    sizes, nets = values["sizes"], values["nets"]
    for ax, key, title in zip(axes, ("mean", "log_variance"), ("batch mean", "log-variance"), strict=False):
        for (layer, name), color, marker in zip(LAYERS.items(), _LAYER_SHADES, _LAYER_MARKS, strict=True):
            rows = [net["layers"][layer] for net in nets]
            _networks(sizes, [row[key] for row in rows], color, marker, name, ax)
            if key == "mean":
                ideal = 1 / np.sqrt(np.array(sizes) * rows[0]["pixels"])
                ax.plot(sizes, ideal, color=color, linestyle=style.DASHED, linewidth=0.8)
        ax.set_title(title)
    _networks(sizes, [net["gap"] for net in nets], style.look_of_norm("bn").color, "o", "features", axes[2])
    axes[2].set_title("features, training against evaluation")
    axes[0].legend(frameon=False, fontsize=7)
    axes[0].set_ylabel("standard deviation, relative")
    for ax in axes:
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.set_xticks(sizes, [str(size) for size in sizes])
        ax.set_xlabel("images per statistic")
        plain_ticks(ax)
    axes[2].set_yscale("linear")
    axes[2].set_ylim(bottom=0)
    axes[2].yaxis.set_major_locator(MaxNLocator(5))
    axes[2].yaxis.set_major_formatter(ScalarFormatter())
    return figure


def _networks(
    sizes: Sequence[int], runs: Sequence[Sequence[float]], color: str, marker: str, name: str, ax: Axes
) -> None:
    for run in runs:
        ax.scatter(sizes, run, s=9, color=color, alpha=0.35, linewidths=0)
    ax.plot(
        sizes, np.mean(runs, axis=0), color=color, marker=marker, markersize=3.5, linewidth=1.2, label=name
    )


def axes_figure(results: Path) -> Figures:
    """Draw the masks that `fairtrial probe axes` asked of the layers."""
    record = read_measurement(results, "axes")
    values = record["values"]
    images, channels, pixels = values["shape"]
    caption = (
        "The values that share a mean and a variance with the first value of the first channel "
        "(coloured), as "
        "the layers themselves say: where its output has a derivative. BN, LN, IN and GN "
        f"({values['groups']} groups) on activations (N, C, HW) of {images} images, {channels} channels and "
        f"{pixels} pixels; weight standardization on filters (O, I x k x k) of {images} filters, {channels} "
        f"input channels and {pixels} places; it never sees the batch. In the manner of Wu & He (2018), "
        "Figure "
        f"2. {measured_by(record)}"
    )
    masks = {name: np.array(mask, dtype=bool) for name, mask in values["masks"].items()}
    yield "f3-7", caption, _axes_blocks(masks)


def _axes_blocks(masks: dict[str, np.ndarray]) -> Figure:
    """A block per layer, (N, C, HW) bool each; weight standardization the last."""
    figure = Figure(figsize=(style.PAGE, 1.75), layout="constrained")
    for ax, name in zip(figure.subplots(1, len(_AXES_NAMES)), _AXES_NAMES, strict=True):
        block(masks[name], style.look_of_norm(_AXES_COLORS[name]).color, ax)
        labels = ("O", "I", "k x k") if name == "ws" else ("N", "C", "H, W")
        _name_axes(masks[name].shape, labels, ax)
        ax.set_title(_AXES_NAMES[name])
    return figure


def block(mask: np.ndarray, color: str, ax: Axes) -> None:
    """(N, C, HW) as a block: images to the right, channels backwards, pixels down; three faces are seen."""
    images, channels, pixels = mask.shape
    for n in range(images):
        for p in range(pixels):  # the front: the first channel
            _face([(n, p, 0), (n + 1, p, 0), (n + 1, p + 1, 0), (n, p + 1, 0)], mask[n, 0, p], color, ax)
        for c in range(channels):  # the top: the first pixel
            _face([(n, 0, c), (n + 1, 0, c), (n + 1, 0, c + 1), (n, 0, c + 1)], mask[n, c, 0], color, ax)
    for c in range(channels):
        for p in range(pixels):  # the side: the last image
            n = images
            _face([(n, p, c), (n, p + 1, c), (n, p + 1, c + 1), (n, p, c + 1)], mask[-1, c, p], color, ax)
    ax.set_aspect("equal")
    ax.autoscale_view()
    ax.axis("off")


def corner_at(n: float, p: float, c: float) -> tuple[float, float]:
    """Where a corner is drawn: p goes down, c backwards."""
    return n + SLANT[0] * c, -p + SLANT[1] * c


def _face(corners: list[tuple[float, float, float]], full: bool, color: str, ax: Axes) -> None:
    ax.add_patch(
        Polygon(
            [corner_at(*corner) for corner in corners], closed=True, linewidth=0.4,
            facecolor=color if full else EMPTY, edgecolor="white" if full else "#c9c9c4",
        )
    )  # fmt: skip


def _name_axes(shape: tuple[int, ...], labels: tuple[str, str, str], ax: Axes) -> None:
    images, channels, pixels = shape
    options: dict[str, Any] = {"fontsize": 6.5, "color": style.QUIET}
    ax.text(images / 2, -pixels - 0.35, labels[0], ha="center", va="top", **options)
    x, y = corner_at(0, 0, channels / 2)
    ax.text(x - 0.35, y + 0.1, labels[1], ha="right", va="bottom", **options)
    ax.text(-0.4, -pixels / 2, labels[2], ha="right", va="center", rotation=90, **options)


ROWS = (
    RegistryRow(RESULTS, signal_figure, items=(
        ReportItem(
            "F2.3", "Signal at initialization", ("Q2", "Q3"), NIGHTLY,
            "how mean and variance of the channels grow with depth, before any training",
        ),
    )),
    RegistryRow(RESULTS, noise_figure, items=(
        ReportItem(
            "F3.5", "Noise of BN's statistics", ("Q3",), SMOKE,
            "how the spread of a batch mean falls with the images in it",
        ),
    )),
    RegistryRow(RESULTS, axes_figure, items=(
        ReportItem(
            "F3.7", "What is averaged over, drawn", ("Q3",), SMOKE,
            "the axes of each norm, as the code has them",
        ),
    )),
)  # fmt: skip
