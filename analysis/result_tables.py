"""T5.1: which model gave which published result."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from analysis.exhibit import Exhibit
from analysis.tables import Table
from fairtrial import published
from fairtrial.published import Row

BIT: Final = "1912.11370v3"
CODE: Final = "big_transfer@"
ASKED: Final = (  # what it was for; source, table, metric of its rows
    ("main result, transfer", BIT, "Table 1", "top1_pct"),
    ("by upstream data", BIT, "Table 2", "top1_pct"),
    ("detection (RetinaNet)", BIT, "Table 3", "box_AP"),
    ("norm x WS, ImageNet (ResNet-50 baseline)", BIT, "Table 4", "top1_pct"),
    ("norm x WS, VTAB-1k (ResNet-50 baseline)", BIT, "Table 5", "mean_top1_pct"),
    ("ObjectNet by architecture", BIT, "Table 6", "top1_pct"),
    ("few-shot, the README's runs", CODE, "CIFAR few-shot and full", "top1_pct"),
    ("ImageNet few-shot, the README's runs", CODE, "ImageNet few-shot", "top1_pct"),
    ("VTAB-1k re-runs", CODE, "VTAB re-runs", "mean_top1_pct"),
    ("few-shot points of Fig. 2", BIT, "Abstract (points of Fig 2)", "top1_pct"),
)
OTHERS: Final = ("generalist SOTA", "specialist SOTA")  # not BiT's own models


def exhibit(results: Path) -> Exhibit:
    """Published rows alone; nothing here was measured by us."""
    lines = [line for asked in ASKED for line in _lines(*asked)]
    caption = (
        "Which model gave which published result: percent top-1 (RetinaNet: box AP), as printed; lowest to highest "
        "where several data sets, shots or settings stand in one line. Rows: positions in published.json, which "
        "holds source, setting and spread of each. BiT: arXiv 1912.11370v3; README: google-research/big_transfer. "
        "Tables 4 and 5 print neither spread nor number of runs. Nothing in this table was measured here."
    )
    return Exhibit("T5.1", "table", Table("results-by-model", caption, pd.DataFrame(lines)), caption)


def _lines(purpose: str, source: str, table: str, metric: str) -> list[dict[str, str]]:
    """One line per model and upstream set, in the order of the source."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in published.rows(source, table, metric):
        if not model_of(row["setting"]).startswith(OTHERS):
            key = model_of(row["setting"]), str(row["setting"].get("upstream") or "")
            groups.setdefault(key, []).append(row)
    return [
        {
            "result": purpose,
            "model": model,
            "upstream": upstream,
            "on": ", ".join(dict.fromkeys(data_of(row["setting"]) for row in rows)),
            "value": values_of(rows),
            "source": f"{'BiT' if source == BIT else 'README'}, {table}",
            "rows": span([row["row"] for row in rows]),
        }
        for (model, upstream), rows in groups.items()
    ]


def model_of(setting: dict[str, Any]) -> str:
    """'BiT-L R50x1' where letter and architecture stand apart; else the model as it is called."""
    letter = setting.get("bit")
    return f"BiT-{letter} {setting['model']}" if letter else str(setting["model"])


def data_of(setting: dict[str, Any]) -> str:
    """What a result was measured on."""
    return str(setting.get("downstream") or setting.get("dataset") or setting.get("group") or "")


def values_of(rows: list[Row]) -> str:
    """'70.2', or '41.7 to 43.8 (3)'."""
    values = [row["value"] for row in rows]
    return f"{values[0]:g}" if len(values) == 1 else f"{min(values):g} to {max(values):g} ({len(values)})"


def span(numbers: list[int]) -> str:
    """'3-5, 9': consecutive numbers as one span."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else f"{part[0]}" for part in parts)
