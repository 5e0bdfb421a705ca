"""The precision of a cell, and whether the device may compute in it: some processors emulate bf16, slowly."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Final

import torch
import torch.nn.functional as F

from fairtrial.errors import REFUSED, fault

ROUNDS: Final = 3
SLOWER: Final = 1.5  # times the fp32 seconds from which on bf16 is refused; emulated, it takes dozens


def precision(name: str, device: torch.device) -> AbstractContextManager[object]:
    """In bf16, convolutions and matrix products run in it; weights, statistics and losses stay in fp32.

    Without autocast's cache: it keeps the bf16 copy of a weight until autocast ends, past every update.
    """
    if name == "fp32":
        return nullcontext()
    refuse_slow_bf16(device)
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)


@cache
def refuse_slow_bf16(device: torch.device) -> None:
    """A Fault (exit code 4) when a convolution in bf16 takes longer than in fp32; measured once a process."""
    if device.type != "cpu":
        return
    fp32, bf16 = (_seconds(dtype) for dtype in (torch.float32, torch.bfloat16))
    if bf16 > SLOWER * fp32:
        what = f"precision='bf16' on a CPU that is slow at it: one convolution {1000 * bf16:.1f} ms,"
        what += f" {1000 * fp32:.1f} ms in fp32"
        raise fault(what, "precision", "use precision=fp32, or a GPU", REFUSED)


def _seconds(dtype: torch.dtype) -> float:
    """The fastest of some convolutions of 64 channels, 3x3."""
    x, weight = torch.ones(4, 64, 32, 32, dtype=dtype), torch.ones(64, 64, 3, 3, dtype=dtype)
    times = []
    with torch.no_grad():
        F.conv2d(x, weight, padding=1)
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            F.conv2d(x, weight, padding=1)
            times.append(time.perf_counter() - begin)
    return min(times)
