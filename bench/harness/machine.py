"""The machine that is measured: what decides a timing, and the name of its folder in results/bench."""

from __future__ import annotations

import os
import re
from typing import Any

import torch

from fairtrial.execution.process_environment import MALLOC, instructions_of
from fairtrial.storage.provenance import cpu_model

THREADS = int(os.environ.get("FAIRTRIAL_BENCH_THREADS", "1"))


def device() -> torch.device:
    """FAIRTRIAL_BENCH_DEVICE, or a GPU where there is one."""
    return torch.device(
        os.environ.get("FAIRTRIAL_BENCH_DEVICE", "cuda" if torch.cuda.is_available() else "cpu")
    )


def info() -> dict[str, Any]:
    """What is not in pytest-benchmark's own list."""
    gpu = torch.cuda.get_device_name(device()) if device().type == "cuda" else None
    return {
        "torch": torch.__version__,
        "threads": THREADS,
        "cpu_model": cpu_model(),
        "instructions": instructions_of(os.environ),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "gpu": gpu,
        "malloc": {name: os.environ[name] for name in MALLOC if name in os.environ},
        "folder": folder_name(gpu or cpu_model(), THREADS),
    }


def folder_name(processor: str, threads: int) -> str:
    """GPU or processor, and threads, in letters that every file system takes."""
    words = f"{processor} {threads} thread{'s' if threads != 1 else ''}"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")
