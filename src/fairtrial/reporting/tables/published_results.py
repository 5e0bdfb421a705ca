"""T5.1: which model gave which published result."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from fairtrial.reporting.claims import published
from fairtrial.reporting.claims.published import PublishedRow
from fairtrial.reporting.report_item import REPORT, RESULTS, RegistryRow, ReportItem
from fairtrial.reporting.tables.table import Table

BIT: Final = "1912.11370v3"
CODE: Final = "big_transfer@"
ASKED: Final = (  # what it was for; source, table, metric of its rows; settings that its values are named by
    ("main result, transfer", BIT, "Table 1", "top1_pct", ("downstream",)),
    ("by upstream data", BIT, "Table 2", "top1_pct", ("downstream",)),
    ("detection (RetinaNet)", BIT, "Table 3", "box_AP", ("dataset",)),
    ("norm x WS, ImageNet (ResNet-50)", BIT, "Table 4", "top1_pct", ("norm", "conv")),
    ("norm x WS, VTAB-1k (ResNet-50)", BIT, "Table 5", "mean_top1_pct", ("norm", "conv")),
    ("ObjectNet by architecture", BIT, "Table 6", "top1_pct", ("crop",)),
    ("few-shot points of Fig. 2", BIT, "Abstract (points of Fig 2)", "top1_pct", ("downstream", "shots")),
    ("few-shot points of Fig. 2", BIT, "Sec 3.5 text (points of Fig 2)", "top1_pct", ("downstream", "shots")),
    ("CIFAR, re-runs", CODE, "CIFAR few-shot and full", "top1_pct", ("downstream", "shots")),
    ("ImageNet, re-runs", CODE, "ImageNet few-shot", "top1_pct", ("downstream", "shots")),
    ("VTAB-1k, re-runs", CODE, "VTAB re-runs", "mean_top1_pct", ("group",)),
)
OTHERS: Final = ("generalist SOTA", "specialist SOTA")  # not BiT's own models


def published_table(_results: Path) -> list[Table]:
    """Make a row per published result; nothing here was measured by us."""
    lines = [line for asked in ASKED for line in _lines(*asked)]
    caption = (
        "Which model gave which published result: percent top-1 (RetinaNet: box AP), as printed; lowest to "
        "highest where frameworks differ. Shots are images per class. Rows: positions in published.json, "
        "which "
        "holds source, setting and spread of each. BiT: arXiv 1912.11370v3; README: "
        "google-research/big_transfer, "
        "medians of at least 5 runs on CIFAR. Tables 4 and 5 print neither spread nor number of runs. "
        "Nothing in "
        "this table was measured here."
    )
    return [Table("t5-1", caption, pd.DataFrame(lines))]


def _lines(
    purpose: str, source: str, table: str, metric: str, named: tuple[str, ...]
) -> list[dict[str, str]]:
    """One line per model and upstream set, in the order of the source."""
    groups: dict[tuple[str, str], list[PublishedRow]] = {}
    for row in published.rows(source, table, metric):
        if not model_of(row["setting"]).startswith(OTHERS):
            key = model_of(row["setting"]), str(row["setting"].get("upstream") or "")
            groups.setdefault(key, []).append(row)
    return [
        {
            "result": purpose,
            "model": model,
            "upstream": upstream,
            "values": values_of(rows, named),
            "source": place_of(rows[0]),
            "rows": span([row["row"] for row in rows]),
        }
        for (model, upstream), rows in groups.items()
    ]


def model_of(setting: dict[str, Any]) -> str:
    """'BiT-L R50x1' where letter and architecture stand apart; else the model as it is called."""
    letter = setting.get("bit")
    return f"BiT-{letter} {setting['model']}" if letter else str(setting["model"])


def place_of(row: PublishedRow) -> str:
    """'BiT, Table 1', 'README, VTAB re-runs': where a row of BiT's authors is printed."""
    return f"{'BiT' if BIT in row['source'] else 'README'}, {row['table']}"


def values_of(rows: list[PublishedRow], named: tuple[str, ...]) -> str:
    """'cifar10 1 54.1 to 57.9, cifar10 5 82.3 to 83.3': values under the settings that name them."""
    groups: dict[str, list[float]] = {}
    for row in rows:
        name = " ".join(str(row["setting"][key]) for key in named).replace(" plain", "")
        groups.setdefault(name, []).append(row["value"])
    return ", ".join(f"{name} {_range(values)}" for name, values in groups.items())


def _range(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def span(numbers: list[int]) -> str:
    """'3-5, 9': consecutive numbers as one span."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else f"{part[0]}" for part in parts)


ROWS = (
    RegistryRow(RESULTS, published_table, items=(
        ReportItem(
            "T5.1", "Which model gave which result", ("Q5",), REPORT, "published numbers, each with its table"
        ),
    )),
)  # fmt: skip
