"""F5.3: the focal loss, which RetinaNet trains with."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from fairtrial.reporting.claims import published
from fairtrial.reporting.figures import style
from fairtrial.reporting.report.report_item import Exhibit

GAMMAS: Final = (0.0, 0.5, 1.0, 2.0, 5.0)
SHADES: Final = ("#3d3d3d", "#8a8a8a", "#3f97d1", "#0b4a8f", "#8d2f68")
DASHES: Final = (style.DASHED, style.DOTTED, style.MIXED, "-", "-")  # the last is the lowest curve


def loss(p: npt.ArrayLike, gamma: float) -> np.ndarray:
    """-(1 - p)^gamma log p of the true class's probability p in (0, 1] (Lin et al., 2017, eq. 4); 0 at "
    "p = 1."""
    p = np.asarray(p, dtype=float)
    return -((1 - p) ** gamma) * np.log(p) + 0.0


def exhibit(results: Path) -> Exhibit:
    """Analytic; the gamma and alpha of BiT are published rows."""
    gamma, alpha = (
        published.value(f"hyperparameter:focal_{name}", table="App E") for name in ("gamma", "alpha")
    )
    ratio = float(loss(0.9, 0) / loss(0.9, gamma))
    caption = (
        "Focal loss -(1 - p)^gamma log p against the probability p of the true class (Lin et al., 2017); "
        "gamma "
        f"0 is cross-entropy. BiT trains RetinaNet with gamma {gamma:g} and alpha {alpha:g} (App. E; "
        "alpha, a "
        f"factor of all curves, is not drawn): an example that is right at p = 0.9 then weighs {ratio:.0f} "
        "times less. Analytic: n does not apply."
    )
    return Exhibit("F5.3", "figure", draw(gamma), caption)


def draw(bits: float) -> Figure:
    """A curve per gamma, that of BiT (`bits`) the widest."""
    figure = Figure(figsize=(style.COLUMN, 2.3), layout="constrained")
    ax = figure.subplots()
    p = np.linspace(0.005, 1, 400)
    for gamma, color, dash in zip(GAMMAS, SHADES, DASHES, strict=True):
        name = f"{gamma:g}" + (" (BiT)" if gamma == bits else "")
        ax.plot(
            p, loss(p, gamma), color=color, linestyle=dash, label=name, linewidth=2 if gamma == bits else 1
        )
    ax.set_ylim(0, 5)
    ax.set_xlim(0, 1)
    ax.set_xlabel("probability of the true class")
    ax.set_ylabel("loss")
    ax.legend(title="gamma", frameon=False, fontsize=7, title_fontsize=7)
    return figure
