"""What standardized filters cost, shape by shape: plain convolution, plain formula, fused kernel.

One group is one shape and one pass; its rows are the arms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from fairtrial.layers import StdConv2d, standardize


class PlainStdConv2d(StdConv2d):
    """By the plain formula: the reference of the fused form."""

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, standardize(self.weight, self.eps), self.bias)


CONVS: dict[str, type[nn.Conv2d]] = {"conv": nn.Conv2d, "std_plain": PlainStdConv2d, "std_fused": StdConv2d}


@dataclass(frozen=True)
class Shape:
    """A convolution and the images that it sees."""

    cin: int
    cout: int
    kernel: int
    side: int
    batch_size: int
    stride: int = 1

    def __str__(self) -> str:
        return f"{self.cin}x{self.cout}k{self.kernel}s{self.stride}-{self.side}px-b{self.batch_size}"


MINI = [  # at 32x32, where the images weigh more than the filters, and at 16x16 in fours, where dispatch does
    Shape(3, 16, 3, 32, 64, 2),
    Shape(16, 16, 3, 16, 64),
    Shape(64, 128, 1, 16, 64, 2),
    Shape(64, 64, 3, 4, 64),
    Shape(16, 16, 3, 8, 4),
    Shape(64, 64, 3, 2, 4),
    Shape(64, 256, 1, 2, 4),
]
R50X1 = [
    Shape(64, 64, 3, 32, 4),
    Shape(256, 128, 1, 32, 4),
    Shape(512, 512, 3, 8, 4, 2),
    Shape(512, 2048, 1, 4, 4),
]


def build(conv: str, shape: Shape) -> tuple[nn.Module, Tensor]:
    """The layer and its images."""
    torch.manual_seed(0)
    layer = CONVS[conv](
        shape.cin, shape.cout, shape.kernel, shape.stride, padding=shape.kernel // 2, bias=False
    )
    return layer, torch.randn(shape.batch_size, shape.cin, shape.side, shape.side)


def forward(layer: nn.Module, x: Tensor) -> Callable[[], None]:
    @torch.no_grad()
    def call() -> None:
        layer(x)

    return call


def forward_backward(layer: nn.Module, x: Tensor) -> Callable[[], None]:
    x = x.requires_grad_()
    upstream = torch.ones_like(layer(x))

    def call() -> None:
        layer(x).backward(upstream)
        x.grad = None
        layer.zero_grad(set_to_none=True)

    return call


PASSES = {"forward": forward, "forward_backward": forward_backward}


@pytest.mark.parametrize("conv", CONVS)
@pytest.mark.parametrize("run", PASSES)
@pytest.mark.parametrize("shape", MINI + R50X1, ids=str)
def test_std_conv(benchmark, shape, run, conv):
    call = PASSES[run](*build(conv, shape))
    benchmark.group = f"std_conv {shape} float32 {run}"
    benchmark(call)
