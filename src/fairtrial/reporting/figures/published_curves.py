"""FE.4: the few-shot accuracies that BiT's authors print, to stand beside a curve of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fairtrial.reporting.claims import published
from fairtrial.reporting.figures import style
from fairtrial.reporting.figures.figure_layout import Figures, side_by_side
from fairtrial.reporting.report_item import REPORT, RESULTS, RegistryRow, ReportItem

MODELS: Final = {"BiT-M-R50x1": "gn", "BiT-M-R101x3": "gn+ws", "BiT-M-R152x2": "ln"}  # with a look each
SHOTS: Final = (1, 5)  # what the authors' re-runs print, besides all images
TABLE: Final = "CIFAR few-shot and full"
_ASIDE: Final = 0.12  # of an example per class, between networks


def points(model: str, shots: int) -> list[tuple[float, float, float]]:
    """Return (median, lowest, highest) of each framework that printed a network on CIFAR-10, in percent."""
    rows = published.rows(table=TABLE, metric="top1_pct", model=model, downstream="cifar10", shots=shots)
    return [(row["value"], row["min"], row["max"]) for row in rows]


def published_curves(_results: Path) -> Figures:
    """Draw each network's published medians, with the range of their runs."""
    figure, (ax,) = side_by_side(1, 2.6, wide=False)
    for place, (model, norm) in enumerate(MODELS.items()):
        look, middles = style.look_of_norm(norm), []
        for shots in SHOTS:
            printed = points(model, shots)
            x = shots + _ASIDE * (place - 1)
            ax.vlines(
                x, min(low for _, low, _ in printed), max(high for *_, high in printed), color=look.color
            )
            medians = [median for median, _, _ in printed]
            ax.plot([x] * len(medians), medians, look.marker, color=look.color, markersize=3)
            middles.append((x, sum(medians) / len(medians)))
        ax.plot(*zip(*middles, strict=True), color=look.color, linestyle=look.dash, label=model)
    (best,) = published.rows(table="Abstract (points of Fig 2)", downstream="cifar10", shots=10)
    ax.plot(10, best["value"], "k*", label=best["setting"]["model"])
    ax.set_xticks([*SHOTS, 10])
    ax.set_xlabel("images per class")
    ax.set_ylabel("published test accuracy on CIFAR-10, %")
    ax.legend(loc="lower right", fontsize=6.5)
    caption = (
        "Published few-shot accuracy on CIFAR-10. Marks: the median of at least 5 runs in each framework "
        "(README of google-research/big_transfer); bars: lowest to highest run; lines join the means of the "
        f"medians. Star: {best['setting']['model']} at 10 images per class, median of 5 (BiT). Nothing here "
        "was measured by us; no curve of 1 to 10 examples is published for BiT-M-R50x3."
    )
    yield "fe-4", caption, figure


ROWS = (
    RegistryRow(RESULTS, published_curves, items=(
        ReportItem(
            "FE.4", "Published few-shot accuracy", ("EC",), REPORT,
            "what BiT's authors print at 1, 5 and 10 images per class",
        ),
    )),
)  # fmt: skip
