"""F4.1: how MixUp draws its lambda, and what it makes of two digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fairtrial.reporting.claims import published
from fairtrial.reporting.figures import style
from fairtrial.reporting.report.report_item import Exhibit

ALPHAS: Final = (0.05, 0.1, 0.2, 0.4, 1.0)
SHADES: Final = ("#8d2f68", "#0b4a8f", "#3f97d1", "#c98a00", "#3d3d3d")
DASHES: Final = (style.DOTTED, "-", style.DASHED, style.MIXED, "-")
DRAWN: Final = 8  # samples of an alpha: lambda at its 1/16, 3/16, ... 15/16 quantiles
PAIR: Final = (3, 0)  # classes of the two digits


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


def exhibit(results: Path) -> Exhibit:
    """Analytic, but for the two digits, which are scikit-learn's."""
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
    return Exhibit("F4.1", "figure", draw(*digits()), caption)


def quantiles() -> np.ndarray:
    """(DRAWN,) equally likely places of lambda."""
    return (np.arange(DRAWN) + 0.5) / DRAWN


def digits() -> tuple[np.ndarray, np.ndarray]:
    """The first training digit of each class of PAIR, (H, W) in 0..1."""
    from fairtrial.data.digits import load

    arrays = load()
    first, second = (
        arrays.train_images[np.flatnonzero(arrays.train_labels == label)[0], 0] for label in PAIR
    )
    return first / 255, second / 255


def draw(first: np.ndarray, second: np.ndarray) -> Figure:
    """Densities beside a row of mixed digits per alpha."""
    figure = Figure(figsize=(style.PAGE, 2.5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.55))
    _densities(left)
    _samples(first, second, right)
    return figure


def _densities(ax: Axes) -> None:
    from scipy.stats import beta

    places = np.linspace(0.004, 0.996, 500)
    for alpha, color, dash in zip(ALPHAS, SHADES, DASHES, strict=True):
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
    """-> lambda (DRAWN,) and the images (DRAWN, H, W): lambda of the first, the rest of the second."""
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
    ax.set_xlim(-1, DRAWN * (wide + 2) - 1)
    ax.set_ylim(len(ALPHAS) * (high + 2) - 1, -1)
    ax.set_yticks(
        [row * (high + 2) + high / 2 for row in range(len(ALPHAS))], [f"{alpha:g}" for alpha in ALPHAS]
    )
    ax.set_xticks(
        [column * (wide + 2) + wide / 2 for column in range(DRAWN)],
        [f"{q:.2f}".lstrip("0") for q in quantiles()],
    )
    ax.set_xlabel("quantile of lambda")
    ax.set_ylabel("alpha")
    ax.grid(False)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
