"""`fairtrial networks` and `fairtrial probe`: measure, write the record, say where it lies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch

from fairtrial.data import open_dataset
from fairtrial.errors import BAD_INPUT, fault
from fairtrial.measurements import (
    axes,
    bn_noise,
    measurement_record,
    network_costs,
    signal_propagation,
    smoothness,
)
from fairtrial.storage import provenance
from fairtrial.storage.study_folders import is_study


def run(name: str, results: Path, data: str | None) -> tuple[Path, dict[str, Any]]:
    """Measure on one thread -> the file and its values."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        values = MEASUREMENTS[name](results, data)
    finally:
        torch.set_num_threads(threads)
    flags = {"instructions": torch.backends.cpu.get_cpu_capability()}
    path = measurement_record.path_of(results, name)
    return measurement_record.write(path, name, values, provenance.gather("cpu", 1, flags)), values


def _statistics(results: Path, data: str | None) -> dict[str, Any]:
    upstream = results / "upstream"
    if not is_study(upstream):
        do = "give the results folder that holds the study upstream: --results results"
        raise fault("there are no pre-trained networks", str(upstream), do, BAD_INPUT)
    return bn_noise.measure(open_dataset(data or "digits"), upstream)


MEASUREMENTS: Final[dict[str, Callable[[Path, str | None], dict[str, Any]]]] = {
    "networks": lambda results, data: network_costs.table(),
    "axes": lambda results, data: axes.measure(),
    "signal": lambda results, data: signal_propagation.measure(),
    "statistics": _statistics,
    "smoothness": lambda results, data: smoothness.measure(open_dataset(data or "digits")),
}
