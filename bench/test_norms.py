"""What each row of NORMS costs, at the feature maps of mini; the plain kernels of torch next to ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from bench.harness.passes import LAYOUTS, PASSES
from bench.harness.workloads import of_norm
from fairtrial.layers import NORMS

SHAPES = [(64, 64, 16, 16), (64, 32, 8, 8), (64, 256, 4, 4), (4, 64, 8, 8), (4, 256, 2, 2)]  # of mini

ARMS: dict[str, Callable[[int, int], nn.Module]] = {  # the first is the reference
    "torch_bn": lambda channels, groups: nn.BatchNorm2d(channels),
    "torch_gn": lambda channels, groups: nn.GroupNorm(groups, channels),
    "ghost_bn": lambda channels, groups: NORMS["bn"].build(channels, stat_batch=2),
}


def layer_of(arm: str, channels: int) -> nn.Module:
    """A row of NORMS, or one of the arms above; groups of 8 channels as in mini."""
    groups = channels // 8
    return ARMS[arm](channels, groups) if arm in ARMS else NORMS[arm].build(channels, groups=groups)


@pytest.mark.parametrize("run", PASSES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def test_norms(benchmark, race, device, shape, layout, run):
    benchmark.group = f"norms {'x'.join(map(str, shape))} float32 {layout} {run}"
    x = torch.randn(shape, device=device).contiguous(memory_format=LAYOUTS[layout])
    arms = {arm: layer_of(arm, shape[1]).to(device) for arm in (*ARMS, *NORMS)}
    race({arm: PASSES[run](layer, x) for arm, layer in arms.items()}, "gn", calls=3, work=of_norm(x, run))
