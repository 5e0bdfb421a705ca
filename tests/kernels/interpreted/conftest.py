"""The Triton kernels are tested on a GPU, or in a process of their own under Triton's interpreter.

The interpreter is chosen when Triton is imported, for the whole process: see test_triton_interpreted.py, one
folder up.
"""

import os

import pytest
import torch

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
if not (INTERPRETED or torch.cuda.is_available()):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def device() -> str:
    return "cpu" if INTERPRETED else "cuda"


@pytest.fixture
def unit(device):
    """dtype -> the relative error of one rounding. To bfloat16 the interpreter cuts where a GPU rounds."""
    cuts = device == "cpu"
    return lambda dtype: torch.finfo(dtype).eps * (1 if cuts and dtype == torch.bfloat16 else 0.5) * 1.01


class Launches:
    """Stands in for a kernel: counts its launches, then does them."""

    def __init__(self, kernel):
        self.kernel, self.count = kernel, 0

    def __getitem__(self, grid):
        self.count += 1
        return self.kernel[grid]


@pytest.fixture
def launches(monkeypatch):
    """(module, name of a kernel) -> what counts its launches from now on."""

    def watch(module, name):
        monkeypatch.setattr(module, name, Launches(getattr(module, name)))
        return getattr(module, name)

    return watch
