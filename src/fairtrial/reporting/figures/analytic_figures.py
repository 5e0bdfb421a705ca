"""Figures of closed forms, which need no cells: the focal loss (F5.3) and how MixUp mixes (F4.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fairtrial.reporting.claims import published
from fairtrial.reporting.figures import style
from fairtrial.reporting.figures.figure_layout import Figures
from fairtrial.reporting.report_item import RESULTS, SMOKE, RegistryRow, ReportItem

GAMMAS: Final = (0.0, 0.5, 1.0, 2.0, 5.0)
_GAMMA_SHADES: Final = ("#3d3d3d", "#8a8a8a", "#3f97d1", "#0b4a8f", "#8d2f68")
_GAMMA_DASHES: Final = (style.DASHED, style.DOTTED, style.MIXED, "-", "-")  # the last is the lowest curve
ALPHAS: Final = (0.05, 0.1, 0.2, 0.4, 1.0)
_ALPHA_SHADES: Final = ("#8d2f68", "#0b4a8f", "#3f97d1", "#c98a00", "#3d3d3d")
_ALPHA_DASHES: Final = (style.DOTTED, "-", style.DASHED, style.MIXED, "-")
SAMPLES: Final = 8  # samples of an alpha: lambda at its 1/16, 3/16, ... 15/16 quantiles
PAIR: Final = (3, 0)  # classes of the two digits


def focal_loss(p: npt.ArrayLike, gamma: float) -> np.ndarray:
    """-(1 - p)^gamma log p of the true class's probability p in (0, 1] (Lin et al., 2017, eq. 4); 0 at
    p = 1."""
    p = np.asarray(p, dtype=float)
    return -((1 - p) ** gamma) * np.log(p) + 0.0


def focal_figure(_results: Path) -> Figures:
    """Draw closed forms; the gamma and alpha of BiT are published rows."""
    gamma, alpha = (
        published.value(f"hyperparameter:focal_{name}", table="App E") for name in ("gamma", "alpha")
    )
    ratio = float(focal_loss(0.9, 0) / focal_loss(0.9, gamma))
    caption = (
        "Focal loss -(1 - p)^gamma log p against the probability p of the true class (Lin et al., 2017); "
        "gamma "
        f"0 is cross-entropy. BiT trains RetinaNet with gamma {gamma:g} and alpha {alpha:g} (App. E; "
        "alpha, a "
        f"factor of all curves, is not drawn): an example that is right at p = 0.9 then weighs {ratio:.0f} "
        "times less. Analytic: n does not apply."
    )
    yield "f5-3", caption, _focal_curves(gamma)


def _focal_curves(bits: float) -> Figure:
    """A curve per gamma, that of BiT (`bits`) the widest."""
    figure = Figure(figsize=(style.COLUMN, 2.3), layout="constrained")
    ax = figure.subplots()
    p = np.linspace(0.005, 1, 400)
    for gamma, color, dash in zip(GAMMAS, _GAMMA_SHADES, _GAMMA_DASHES, strict=True):
        name = f"{gamma:g}" + (" (BiT)" if gamma == bits else "")
        ax.plot(
            p,
            focal_loss(p, gamma),
            color=color,
            linestyle=dash,
            label=name,
            linewidth=2 if gamma == bits else 1,
        )
    ax.set_ylim(0, 5)
    ax.set_xlim(0, 1)
    ax.set_xlabel("probability of the true class")
    ax.set_ylabel("loss")
    ax.legend(title="gamma", frameon=False, fontsize=7, title_fontsize=7)
    return figure


def mean_share(alpha: float) -> float:
    """The mean of min(lambda, 1 - lambda) for lambda ~ Beta(alpha, alpha): I_1/2(alpha + 1, alpha).

    Twice the integral of lambda below 1/2, by symmetry; lambda times the density is half that of
    Beta(alpha + 1, alpha). I is the regularised incomplete beta function.
    """
    from scipy.special import betainc

    return float(betainc(alpha + 1, alpha, 0.5))


def share_above(alpha: float, level: float) -> float:
    """How often min(lambda, 1 - lambda) exceeds a level below 1/2."""
    from scipy.stats import beta

    return float(1 - 2 * beta.cdf(level, alpha, alpha))


def mixing_figure(_results: Path) -> Figures:
    """Draw closed forms, but for the two digits, which are scikit-learn's."""
    means = "; ".join(f"{alpha:g}: {mean_share(alpha):.3f}" for alpha in ALPHAS)
    recipe = published.value("hyperparameter:mixup_alpha_medium_large", source="1912.11370v3")
    caption = (
        "MixUp mixes two images with lambda ~ Beta(alpha, alpha). Left: its density. Right: the same two "
        f"digits (scikit-learn's scans) mixed at the {', '.join(f'{q:.2g}' for q in quantiles()[:2])} ... "
        f"quantiles of lambda. Mean of min(lambda, 1 - lambda) by alpha: {means}. BiT uses alpha {recipe:g} "
        f"(3.3): {100 * share_above(recipe, 0.1):.0f} % of its steps mix by more than 10 %. Analytic: n "
        "does not "
        "apply."
    )
    yield "f4-1", caption, _mixing_panels(*digits())


def quantiles() -> np.ndarray:
    """(SAMPLES,) equally likely places of lambda."""
    return (np.arange(SAMPLES) + 0.5) / SAMPLES


def digits() -> tuple[np.ndarray, np.ndarray]:
    """The first training digit of each class of PAIR, (H, W) in 0..1."""
    from fairtrial.data.digits import load

    arrays = load()
    first, second = (
        arrays.train_images[np.flatnonzero(arrays.train_labels == label)[0], 0] for label in PAIR
    )
    return first / 255, second / 255


def _mixing_panels(first: np.ndarray, second: np.ndarray) -> Figure:
    """Densities beside a row of mixed digits per alpha."""
    figure = Figure(figsize=(style.PAGE, 2.5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.55))
    _densities(left)
    _samples(first, second, right)
    return figure


def _densities(ax: Axes) -> None:
    from scipy.stats import beta

    places = np.linspace(0.004, 0.996, 500)
    for alpha, color, dash in zip(ALPHAS, _ALPHA_SHADES, _ALPHA_DASHES, strict=True):
        width = 2 if alpha == 0.1 else 1
        ax.plot(
            places,
            beta.pdf(places, alpha, alpha),
            color=color,
            linestyle=dash,
            label=f"{alpha:g}",
            linewidth=width,
        )
    ax.set_yscale("log")
    ax.set_xlim(0, 1)
    ax.set_yticks([0.1, 1, 10], ["0.1", "1", "10"])
    ax.minorticks_off()
    ax.set_xlabel("lambda")
    ax.set_ylabel("density")
    ax.legend(title="alpha", frameon=False, ncols=3, loc="upper center", fontsize=7, title_fontsize=7)
    ax.set_ylim(0.03, 60)


def mixed(first: np.ndarray, second: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """-> lambda (SAMPLES,) and the images (SAMPLES, H, W): lambda of the first, the rest of the second."""
    from scipy.stats import beta

    lam = beta.ppf(quantiles(), alpha, alpha)
    weights: Any = lam[:, None, None]
    return lam, weights * first + (1 - weights) * second


def _samples(first: np.ndarray, second: np.ndarray, ax: Axes) -> None:
    high, wide = first.shape
    for row, alpha in enumerate(ALPHAS):
        for column, image in enumerate(mixed(first, second, alpha)[1]):
            left, top = column * (wide + 2), row * (high + 2)
            ax.imshow(
                image, cmap="gray_r", vmin=0, vmax=1, extent=(left, left + wide, top + high, top),
                interpolation="nearest",
            )  # fmt: skip
    ax.set_xlim(-1, SAMPLES * (wide + 2) - 1)
    ax.set_ylim(len(ALPHAS) * (high + 2) - 1, -1)
    ax.set_yticks(
        [row * (high + 2) + high / 2 for row in range(len(ALPHAS))], [f"{alpha:g}" for alpha in ALPHAS]
    )
    ax.set_xticks(
        [column * (wide + 2) + wide / 2 for column in range(SAMPLES)],
        [f"{q:.2f}".lstrip("0") for q in quantiles()],
    )
    ax.set_xlabel("quantile of lambda")
    ax.set_ylabel("alpha")
    ax.grid(False)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


ROWS = (
    RegistryRow(RESULTS, mixing_figure, items=(
        ReportItem(
            "F4.1", "How strongly MixUp mixes", ("Q4",), SMOKE,
            "arithmetic: the share of the weaker image at each alpha",
        ),
    )),
    RegistryRow(RESULTS, focal_figure, items=(
        ReportItem("F5.3", "Focal loss", ("Q5",), SMOKE, "arithmetic: how the loss is focused by gamma"),
    )),
)  # fmt: skip
