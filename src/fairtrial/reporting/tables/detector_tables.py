"""T5.2: RetinaNet on a BiT backbone, part by part, beside the published AP."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd

from fairtrial.reporting.claims import published
from fairtrial.reporting.report.report_item import Exhibit, network, probed, said_of
from fairtrial.reporting.tables.table import Table

WHOLE: Final = "whole"


def exhibit(results: Path) -> Exhibit:
    """The record of `fairtrial networks`; AP as BiT Table 3 prints it."""
    found = probed(results, "networks")
    detectors = found["values"]["detectors"]
    side, classes = detectors[0]["side"], detectors[0]["classes"]
    cited = published.rows("1912.11370v3", "Table 3", "box_AP")
    told = "; ".join(f"{row['setting']['model']} {row['value']:g} (row {row['row']})" for row in cited)
    caption = (
        "RetinaNet on BiT backbones: torchvision's pyramid (256 channels, P6 and P7 from P5) and heads (4 "
        f"convolutions, 9 anchors, {classes} classes, no norms) on ResNetV2 with GN and weight "
        "standardization. "
        f"Multiply-accumulates of one {side} x {side} image, from shapes; BiT prints no sizes and no "
        "layout of "
        "its own, so parameters and GMAC are ours, not the paper's. Box AP on COCO: cited from BiT Table 3 "
        f"(median of 5, App. E; rows of published.json), not reproduced: {told}. {said_of(found)}"
    )
    lines = [line for detector in detectors for line in lines_of(detector, cited)]
    return Exhibit("T5.2", "table", Table("retinanet", caption, pd.DataFrame(lines)), caption)


def lines_of(detector: Mapping[str, Any], cited: list[published.PublishedRow]) -> list[dict[str, str]]:
    """A line per part, and one of the whole with the published AP of this backbone."""
    parts = dict(detector["parts"])
    parts[WHOLE] = {name: sum(part[name] for part in parts.values()) for name in ("parameters", "macs")}
    model = network(detector["model"])
    aps = [row for row in cited if row["setting"]["model"].endswith(f" {model}")]
    ap = ", ".join(f"{row['setting']['model'].split()[2]} {row['value']:g}" for row in aps)
    return [
        {
            "backbone": model,
            "part": part,
            "M parameters": f"{counts['parameters'] / 1e6:.2f}",
            f"GMAC at {detector['side']}": f"{counts['macs'] / 1e9:.1f}",
            "share of GMAC": f"{100 * counts['macs'] / parts[WHOLE]['macs']:.0f} %",
            "published box AP (cited)": ap if part == WHOLE else "",
        }
        for part, counts in parts.items()
    ]
