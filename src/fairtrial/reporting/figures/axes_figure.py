"""F3.7: which values each normalization averages over, drawn as blocks from recorded masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from fairtrial.reporting.figures import style
from fairtrial.reporting.report.report_item import Exhibit, probed, said_of

NAMES: Final = {
    "bn": "BatchNorm",
    "ln": "LayerNorm",
    "in": "InstanceNorm",
    "gn": "GroupNorm",
    "ws": "Weight Std.",
}
COLORS: Final = {"bn": "bn", "ln": "ln", "in": "in", "gn": "gn", "ws": "gn+ws"}
SLANT: Final = (0.42, 0.30)  # of one step backwards
EMPTY: Final = "#f4f4f1"


def exhibit(results: Path) -> Exhibit:
    """The masks that `fairtrial probe axes` asked of the layers."""
    found = probed(results, "axes")
    values = found["values"]
    images, channels, pixels = values["shape"]
    caption = (
        "The values that share a mean and a variance with the first value of the first channel "
        "(coloured), as "
        "the layers themselves say: where its output has a derivative. BN, LN, IN and GN "
        f"({values['groups']} groups) on activations (N, C, HW) of {images} images, {channels} channels and "
        f"{pixels} pixels; weight standardization on filters (O, I x k x k) of {images} filters, {channels} "
        f"input channels and {pixels} places; it never sees the batch. In the manner of Wu & He (2018), "
        "Figure "
        f"2. {said_of(found)}"
    )
    masks = {name: np.array(mask, dtype=bool) for name, mask in values["masks"].items()}
    return Exhibit("F3.7", "figure", draw(masks), caption)


def draw(masks: dict[str, np.ndarray]) -> Figure:
    """A block per layer, (N, C, HW) bool each; weight standardization the last."""
    figure = Figure(figsize=(style.PAGE, 1.75), layout="constrained")
    for ax, name in zip(figure.subplots(1, len(NAMES)), NAMES, strict=True):
        block(masks[name], style.look_of_norm(COLORS[name]).color, ax)
        labels = ("O", "I", "k x k") if name == "ws" else ("N", "C", "H, W")
        _label(masks[name].shape, labels, ax)
        ax.set_title(NAMES[name])
    return figure


def block(mask: np.ndarray, color: str, ax: Axes) -> None:
    """(N, C, HW) as a block: images to the right, channels backwards, pixels down; three faces are seen."""
    images, channels, pixels = mask.shape
    for n in range(images):
        for p in range(pixels):  # the front: the first channel
            _cell([(n, p, 0), (n + 1, p, 0), (n + 1, p + 1, 0), (n, p + 1, 0)], mask[n, 0, p], color, ax)
        for c in range(channels):  # the top: the first pixel
            _cell([(n, 0, c), (n + 1, 0, c), (n + 1, 0, c + 1), (n, 0, c + 1)], mask[n, c, 0], color, ax)
    for c in range(channels):
        for p in range(pixels):  # the side: the last image
            n = images
            _cell([(n, p, c), (n, p + 1, c), (n, p + 1, c + 1), (n, p, c + 1)], mask[-1, c, p], color, ax)
    ax.set_aspect("equal")
    ax.autoscale_view()
    ax.axis("off")


def place(n: float, p: float, c: float) -> tuple[float, float]:
    """Where a corner is drawn: p goes down, c backwards."""
    return n + SLANT[0] * c, -p + SLANT[1] * c


def _cell(corners: list[tuple[float, float, float]], full: bool, color: str, ax: Axes) -> None:
    ax.add_patch(
        Polygon(
            [place(*corner) for corner in corners], closed=True, linewidth=0.4,
            facecolor=color if full else EMPTY, edgecolor="white" if full else "#c9c9c4",
        )
    )  # fmt: skip


def _label(shape: tuple[int, ...], labels: tuple[str, str, str], ax: Axes) -> None:
    images, channels, pixels = shape
    options: dict[str, Any] = {"fontsize": 6.5, "color": style.QUIET}
    ax.text(images / 2, -pixels - 0.35, labels[0], ha="center", va="top", **options)
    x, y = place(0, 0, channels / 2)
    ax.text(x - 0.35, y + 0.1, labels[1], ha="right", va="bottom", **options)
    ax.text(-0.4, -pixels / 2, labels[2], ha="right", va="center", rotation=90, **options)
