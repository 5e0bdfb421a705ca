"""How fast this machine copies and multiplies, and how long a piece of work takes at that speed."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch

from bench.harness.clock import Clock
from bench.harness.passes import waiting
from bench.harness.workloads import Work

COPIED = {"cpu": 1 << 28, "cuda": 1 << 30}  # bytes read and written: no cache holds them
MATRIX = {"cpu": 1024, "cuda": 8192}  # side of the matrices, float32
ROUNDS = 15


@dataclass(frozen=True)
class Roof:
    """What was measured in this process: bytes read and written per second, operations per second."""

    copy_bytes_per_s: float
    matrix_flops_per_s: float

    def seconds(self, work: Work) -> float:
        """The least that the work can take: its bytes or its operations, whichever takes longer."""
        return max(work.bytes_moved / self.copy_bytes_per_s, (work.flops or 0) / self.matrix_flops_per_s)


def measured_roof(device: torch.device, clock: Clock) -> Roof:
    """Medians of a few rounds."""
    moved, side = COPIED[device.type], MATRIX[device.type]
    return Roof(
        moved / _median(copying(moved, device), clock),
        2 * side**3 / _median(multiplying(side, device), clock),
    )


def copying(moved: int, device: str | torch.device) -> Callable[[], None]:
    """A call that copies float32, so many bytes read and written together."""
    source = torch.ones(moved // 8, device=device)
    target = torch.ones_like(source)

    return waiting(lambda: target.copy_(source), device)


def multiplying(side: int, device: str | torch.device) -> Callable[[], None]:
    """A call that multiplies two square matrices."""
    left, right = torch.rand(2, side, side, device=device)
    out = torch.empty_like(left)

    return waiting(lambda: torch.mm(left, right, out=out), device)


def _median(call: Callable[[], None], clock: Clock) -> float:
    call()
    return statistics.median(clock.seconds(call) for _ in range(ROUNDS))
