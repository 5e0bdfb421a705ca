"""T2.2: the networks in numbers, beside what is published of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from fairtrial.reporting.claims import published
from fairtrial.reporting.report.report_item import Exhibit, network, probed, said_of
from fairtrial.reporting.results.timings import Timing, machine_of, read_timings, timing_folders
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.wording import rounded

BIT: Final = ("r50x1", "r50x3", "r101x1", "r101x3", "r152x2", "r152x4")
SHOWN: Final = ("mini", *BIT)
OWN: Final = ("fastest", "gn+ws fastest")  # the subject of a timing that is a step as we run it


def exhibit(results: Path) -> Exhibit:
    """The record of `fairtrial networks`, and the benches where there are any."""
    found = probed(results, "networks")
    rows = {row["model"]: row for row in found["values"]["networks"]}
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
        + f". {said_of(found)}"
    )
    frame = pd.DataFrame([line(rows[name], fastest[name]) for name in SHOWN])
    return Exhibit("T2.2", "table", Table("models", caption, frame), caption)


def line(row: Mapping[str, Any], timing: Timing | None) -> dict[str, str]:
    """One network as it is read."""
    name, parameters, macs = row["model"], row["parameters"], row["macs"]
    return {
        "model": network(name),
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
    found = published.rows(metric=metric, model=network(name), classes=1000, **setting)
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
