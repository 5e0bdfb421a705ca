"""What standardized filters cost, shape by shape: each way of WAYS next to the plain convolution."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from bench.harness.passes import PASSES
from bench.harness.workloads import of_conv
from fairtrial.kernels.standardization import BIT, WAYS, ways_on
from fairtrial.layers import StdConv2d

PLAIN = "conv"


class WayConv2d(StdConv2d):
    """A layer on its own that makes its filters in one way."""

    way: str

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, WAYS[self.way]([self.weight], BIT)[0], self.bias)


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


def build(shape: Shape, way: str = PLAIN) -> nn.Conv2d:
    """The layer of one arm."""
    kind = nn.Conv2d if way == PLAIN else WayConv2d
    layer = kind(shape.cin, shape.cout, shape.kernel, shape.stride, padding=shape.kernel // 2, bias=False)
    if isinstance(layer, WayConv2d):
        layer.way = way
    return layer


@pytest.mark.parametrize("run", PASSES)
@pytest.mark.parametrize("shape", MINI + R50X1, ids=str)
def test_std_conv(benchmark, race, device, shape, run):
    benchmark.group = f"std_conv {shape} float32 {run}"
    x = torch.randn(shape.batch_size, shape.cin, shape.side, shape.side, device=device)
    ways = ways_on(torch.device(device))
    arms = {way: build(shape, way).to(device) for way in (PLAIN, *ways)}
    calls = 5 if shape in MINI else 2
    race(
        {way: PASSES[run](layer, x) for way, layer in arms.items()},
        ways[-1],
        calls=calls,
        work=of_conv(arms[PLAIN], x, run),
    )
