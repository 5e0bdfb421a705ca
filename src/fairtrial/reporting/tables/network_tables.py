"""The networks in numbers: the models beside what is published of them (T2.2), RetinaNet on BiT (T5.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from fairtrial.reporting.claims import published
from fairtrial.reporting.report_item import (
    REPORT,
    RESULTS,
    RegistryRow,
    ReportItem,
    measured_by,
    network_name,
    read_measurement,
)
from fairtrial.reporting.results.timings import Timing, machine_of, read_timings, timing_folders
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.wording import rounded

BIT: Final = ("r50x1", "r50x3", "r101x1", "r101x3", "r152x2", "r152x4")
SHOWN: Final = ("mini", *BIT)
OWN: Final = ("fastest", "gn+ws fastest")  # the subject of a timing that is a step as we run it
WHOLE: Final = "whole"


def model_table(results: Path) -> list[Table]:
    """Tabulate the record of `fairtrial networks`, and the benches where there are any."""
    record = read_measurement(results, "networks")
    rows = {row["model"]: row for row in record["values"]["networks"]}
    timings = [timing for folder in timing_folders(results / "bench") for timing in read_timings(folder)]
    fastest = {name: best(timings, name) for name in SHOWN}
    measured = [timing for timing in fastest.values() if timing is not None]
    caption = (
        "The BiT networks and mini, GN with weight standardization. Parameters in millions and "
        "multiply-accumulates of one image's forward pass in G (convolutions and head), from shapes, by "
        "classes "
        "(10, 1000) and side. Published: timm's numbers, 1000 classes; its GMAC counts norms and "
        "standardization too, hence 2 to 3 % more. State: weights, gradients and momentum in float32. Kept: "
        "what one image at 224 adds for the backward pass, torch's own kernels, float32. Images/s: training "
        "steps where measured"
        + (f" ({machine_of(measured)}), median of the rounds" if measured else "")
        + f". {measured_by(record)}"
    )
    frame = pd.DataFrame([_model_row(rows[name], fastest[name]) for name in SHOWN])
    return [Table("t2-2", caption, frame)]


def _model_row(row: Mapping[str, Any], timing: Timing | None) -> dict[str, str]:
    """Return one network as it is read."""
    name, parameters, macs = row["model"], row["parameters"], row["macs"]
    return {
        "model": network_name(name),
        "M parameters, 10": f"{parameters['10'] / 1e6:.2f}",
        "M parameters, 1000": f"{parameters['1000'] / 1e6:.2f}",
        "published": _published(name, "params_M"),
        "GMAC at 128, 10": f"{macs['128']['10'] / 1e9:.2f}",
        "GMAC at 224, 1000": f"{macs['224']['1000'] / 1e9:.2f}",
        "published at 224": _published(name, "gmacs", res=224),
        "state MB": f"{row['state_bytes'] / 1e6:.0f}",
        "kept MB per image": f"{row['kept_bytes']['224'] / 1e6:.1f}",
        "images/s, training": _rate(timing),
    }


def _published(name: str, metric: str, **setting: Any) -> str:
    found = published.rows(metric=metric, model=network_name(name), classes=1000, **setting)
    return f"{found[0]['value']:.2f}" if found else ""


def best(timings: Sequence[Timing], model: str) -> Timing | None:
    """The timing of training steps of this network with most images per second; None where none was run."""
    mine = [
        timing
        for timing in timings
        if timing.extra_info.get("model") == model
        and timing.task in ("step", "arms")
        and _subject(timing) is not None
        and timing.extra_info.get("images")  # where the work was counted
    ]
    return max(mine, key=_images_per_s, default=None)


def _subject(timing: Timing) -> str | None:
    return next((name for name in OWN if name in timing.rounds_s), None)


def _images_per_s(timing: Timing) -> float:
    subject = _subject(timing)
    assert subject is not None
    return float(timing.extra_info["images"]) / timing.median_s(subject)


def _rate(timing: Timing | None) -> str:
    if timing is None:
        return ""
    batch_size, side = (timing.extra_info[name] for name in ("batch_size", "side"))
    return f"{rounded(_images_per_s(timing), 3)} (batch {batch_size}, {side} px)"


def detector_table(results: Path) -> list[Table]:
    """Tabulate the record of `fairtrial networks`; AP as BiT Table 3 prints it."""
    record = read_measurement(results, "networks")
    detectors = record["values"]["detectors"]
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
        f"(median of 5, App. E; rows of published.json), not reproduced: {told}. {measured_by(record)}"
    )
    lines = [line for detector in detectors for line in _detector_rows(detector, cited)]
    return [Table("t5-2", caption, pd.DataFrame(lines))]


def _detector_rows(detector: Mapping[str, Any], cited: list[published.PublishedRow]) -> list[dict[str, str]]:
    """A line per part, and one of the whole with the published AP of this backbone."""
    parts = dict(detector["parts"])
    parts[WHOLE] = {name: sum(part[name] for part in parts.values()) for name in ("parameters", "macs")}
    model = network_name(detector["model"])
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


ROWS = (
    RegistryRow(RESULTS, model_table, items=(
        ReportItem(
            "T2.2", "Table of models", ("Q2", "Q5"), REPORT, "exact counts of parameters and operations"
        ),
    )),
    RegistryRow(RESULTS, detector_table, items=(
        ReportItem(
            "T5.2", "RetinaNet on BiT and FPN", ("Q5",), REPORT,
            "exact counts; the average precision is cited",
        ),
    )),
)  # fmt: skip
