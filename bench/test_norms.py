"""What each row of NORMS costs, at the feature maps of mini; the plain kernels of torch next to ours.

One group is one feature map, one layout and one pass; its rows are the arms.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fairtrial.layers import NORMS

SHAPES = [(64, 64, 16, 16), (64, 32, 8, 8), (64, 256, 4, 4), (4, 64, 8, 8), (4, 256, 2, 2)]  # of mini
LAYOUTS = {"nchw": torch.contiguous_format, "nhwc": torch.channels_last}

ARMS: dict[str, Callable[[int, int], nn.Module]] = {
    "torch_bn": lambda channels, groups: nn.BatchNorm2d(channels),
    "torch_gn": lambda channels, groups: nn.GroupNorm(groups, channels),
    "ghost_bn": lambda channels, groups: NORMS["bn"].build(channels, stat_batch=2),
}


def layer_of(arm: str, channels: int) -> nn.Module:
    """A row of NORMS, or one of the arms above; groups of 8 channels as in mini."""
    groups = channels // 8
    return ARMS[arm](channels, groups) if arm in ARMS else NORMS[arm].build(channels, groups=groups)


def build(arm: str, shape: tuple[int, int, int, int], layout: str) -> tuple[nn.Module, Tensor]:
    """The layer and its images."""
    torch.manual_seed(0)
    return layer_of(arm, shape[1]), torch.randn(shape).contiguous(memory_format=LAYOUTS[layout])


def forward(layer: nn.Module, x: Tensor) -> Callable[[], None]:
    @torch.no_grad()
    def call() -> None:
        layer(x)

    return call


def forward_backward(layer: nn.Module, x: Tensor) -> Callable[[], None]:
    x = x.requires_grad_()
    upstream = torch.ones_like(x)

    def call() -> None:
        layer(x).backward(upstream)
        x.grad = None
        layer.zero_grad(set_to_none=True)

    return call


PASSES = {"forward": forward, "forward_backward": forward_backward}


@pytest.mark.parametrize("arm", [*ARMS, *NORMS])
@pytest.mark.parametrize("run", PASSES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def test_norms(benchmark, shape, layout, run, arm):
    call = PASSES[run](*build(arm, shape, layout))
    benchmark.group = f"norms {'x'.join(map(str, shape))} float32 {layout} {run}"
    benchmark(call)
