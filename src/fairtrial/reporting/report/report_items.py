"""Figures and tables of the written report that need no study of their own: id -> how each is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from fairtrial.reporting.figures import (
    axes_figure,
    focal_figure,
    mixing_figure,
    noise_figure,
    signal_figure,
    subsets_figure,
)
from fairtrial.reporting.report.report_item import Exhibit, styled
from fairtrial.reporting.tables import detector_tables, model_tables, published_results

Make = Callable[[Path], Exhibit]


def _in_style(make: Make) -> Make:
    def made(results: Path) -> Exhibit:
        with styled():
            return make(results)

    return made


# results: the folder of networks/, probes/, bench/ and studies. What it lacks is a Fault, exit code 5.
EXHIBITS: Final[dict[str, Make]] = {
    "F2.3": _in_style(signal_figure.exhibit),
    "F3.5": _in_style(noise_figure.exhibit),
    "F3.7": _in_style(axes_figure.exhibit),
    "F4.1": _in_style(mixing_figure.exhibit),
    "F5.3": _in_style(focal_figure.exhibit),
    "FE.3": _in_style(subsets_figure.exhibit),
    "T2.2": model_tables.exhibit,
    "T5.1": published_results.exhibit,
    "T5.2": detector_tables.exhibit,
}
