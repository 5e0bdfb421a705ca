"""Which machine a timing belongs to: what may not differ between a baseline and what is compared with it."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from fairtrial.storage.provenance import cpu_model

_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def identity(device: str, threads: int) -> dict[str, Any]:
    """Processor or GPU, cores, threads, minor versions, governor; not the clock rate, which jitters."""
    return {
        "cpu": cpu_model(),
        "gpu": _gpu(device),
        "cores": os.cpu_count(),
        "threads": threads,
        "torch": _minor(metadata.version("torch")),
        "python": _minor(platform.python_version()),
        "system": f"{platform.system()} {platform.machine()}",
        "governor": _GOVERNOR.read_text().strip() if _GOVERNOR.exists() else None,
    }


def folder_name(machine: Mapping[str, Any]) -> str:
    """The name of its folder in results/bench: GPU or processor, and threads."""
    count = machine["threads"]
    words = f"{machine['gpu'] or machine['cpu']} {count} thread{'s' if count != 1 else ''}"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def differences(theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> list[str]:
    """What differs, in words; a field that a baseline lacks differs."""
    return [
        f"{name} {theirs.get(name, 'not written down')!s}, here {value!s}"
        for name, value in mine.items()
        if theirs.get(name, ...) != value
    ]


def _minor(number: str) -> str:
    return ".".join(number.split(".")[:2])


def _gpu(device: str) -> str | None:
    if device == "cpu":
        return None
    import torch

    return torch.cuda.get_device_name(device)
