"""Group normalization with the relu that follows it, in Triton, forward and backward, in either layout.

Stock GroupNorm loses channels_last on GPUs (pytorch#111824). Here the output has the layout of the input; the
mask of the relu is found again in the backward instead of being stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fairtrial.kernels.triton_norm_kernels import (
    backward_kernel,
    forward_kernel,
    join_kernel,
    statistics_kernel,
    sums_kernel,
)
from fairtrial.kernels.triton_support import check

TILE = 4096  # values of one program: 32 for each of the 128 threads of 4 warps
WHOLE = 8192  # a tile of whole groups may be so large: one read instead of two
SMALL = 1024  # contiguous groups share a tile up to this size
JOINED = 4  # groups whose parts one program joins
RUN = 32  # channels_last groups share one up to so many channels: 64 bytes or more lie together


def group_norm_relu(
    x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, relu: bool = True
) -> Tensor:
    """Each group of channels of each image normalized, scaled, shifted and, if asked, cut at zero.

    x: (batch, channels, height, width), contiguous or channels_last -> the same shape and layout.
    weight, bias: (channels,). The variance is the population's, and eps stands inside the root. Statistics
    are float32.
    """
    check("group_norm_relu", [x, weight, bias], forward_kernel)
    if x.dim() != 4 or groups < 1 or x.shape[1] % groups or not _fit(x, weight, bias):
        raise ValueError(
            f"group_norm_relu got images of {tuple(x.shape)}, {groups} groups, scales of "
            f"{tuple(weight.shape)} and shifts of {tuple(bias.shape)}; expected (batch, channels, height, "
            "width), a number of groups that divides the channels, and a scale and a shift for each channel"
        )
    return _GroupNormRelu.apply(x, groups, weight, bias, eps, relu)


def _fit(x: Tensor, weight: Tensor, bias: Tensor) -> bool:
    return weight.shape == bias.shape == x.shape[1:2] and x.numel() > 0


@dataclass(frozen=True)
class Cut:
    """How the maps of a batch are cut into tiles; `traits` and `sizes` are what every kernel is told."""

    grid: tuple[int, int]
    traits: tuple[int, ...]  # groups of the batch; channels, pixels, the steps of both
    sizes: dict[str, int]  # of a tile; constants of the compiled kernel
    across: int  # tiles from the first pixel of a map to the last
    whole: bool

    @property
    def warps(self) -> int:
        return 8 if self.whole else 4


def cut(x: Tensor, groups: int) -> Cut:
    """How these maps are cut, by their shape and layout."""
    return _cut(tuple(x.shape), groups, _is_channels_last(x))


@lru_cache(maxsize=1024)
def _cut(shape: tuple[int, ...], groups: int, last: bool) -> Cut:
    """Whole groups to a tile where they fit; several where they are small, or thin in channels_last."""
    batch, channels, height, width = shape
    pixels, each = height * width, channels // groups
    share = RUN // _power(each) if last else SMALL // (_power(each) * _power(pixels))
    beside = min(_power(groups), max(1, share))
    whole = beside * _power(each) * _power(pixels) <= WHOLE
    room = WHOLE if whole else TILE
    if last:
        tile_channels = min(_power(each), room // beside)
        tile_pixels = min(_power(pixels), room // (beside * tile_channels))
    else:
        tile_pixels = min(_power(pixels), room)  # one group to a tile, or all of each
        tile_channels = min(_power(each), room // tile_pixels)
    across = -(-pixels // tile_pixels)
    steps = (1, channels) if last else (pixels, 1)
    return Cut(
        grid=(batch * -(-groups // beside), -(-each // tile_channels) * across),
        traits=(batch * groups, channels, pixels, *steps),
        sizes={"EACH": each, "GROUPS": beside, "CHANNELS": tile_channels, "PIXELS": tile_pixels},
        across=across,
        whole=whole,
    )


def _power(count: int) -> int:
    """The least power of two that is no less."""
    return 1 << (count - 1).bit_length()


def _is_channels_last(x: Tensor) -> bool:
    return not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)


def _dense(x: Tensor) -> Tensor:
    return x if _is_channels_last(x) else x.contiguous()


class _GroupNormRelu(torch.autograd.Function):
    """The launches as one differentiable function; gradients of gradients are refused.

    Not a `triton_op`: a network has fifty of these, and each call would go through torch's dispatcher.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, relu: bool
    ) -> Tensor:
        x, weight, bias = _dense(x), weight.contiguous(), bias.contiguous()
        y, statistics = _forward(x, groups, weight, bias, eps, relu)
        ctx.save_for_backward(x, weight, bias, statistics)
        ctx.groups, ctx.relu = groups, relu
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, statistics = ctx.saved_tensors
        dx, sums = _backward(dy, x, ctx.groups, weight, bias, statistics, ctx.relu)
        return dx, None, sums[1].to(weight.dtype), sums[0].to(bias.dtype), None, None


def _forward(
    x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, relu: bool
) -> tuple[Tensor, Tensor]:
    """The output; and (2, groups of the batch): mean and 1 / root."""
    tiles = cut(x, groups)
    y = torch.empty_like(x)
    statistics = x.new_empty((2, tiles.traits[0]), dtype=torch.float32)
    if not tiles.whole:
        _statistics(x, eps, statistics, tiles)
    forward_kernel[tiles.grid](
        x, y, weight, bias, statistics, eps, *tiles.traits,
        RELU=relu, WHOLE=tiles.whole, **tiles.sizes, num_warps=tiles.warps,
    )  # fmt: skip
    return y, statistics


def _statistics(x: Tensor, eps: float, statistics: Tensor, tiles: Cut) -> None:
    """The moments of each tile, then of each group: one read of x."""
    groups, parts = statistics.shape[1], tiles.grid[1]
    moments = x.new_empty((3, parts, groups), dtype=torch.float32)
    statistics_kernel[tiles.grid](x, moments, *tiles.traits, **tiles.sizes, num_warps=tiles.warps)
    join_kernel[(-(-groups // JOINED),)](
        moments, statistics, groups, parts, eps, GROUPS=JOINED, PARTS=_power(parts), num_warps=1
    )


def _backward(
    dy: Tensor, x: Tensor, groups: int, weight: Tensor, bias: Tensor, statistics: Tensor, relu: bool
) -> tuple[Tensor, Tensor]:
    """The gradient of x; and (2, channels): those of the shifts, then of the scales."""
    tiles = cut(x, groups)
    dy = dy.contiguous(memory_format=torch.channels_last if _is_channels_last(x) else torch.contiguous_format)
    dx = torch.empty_like(x)
    sums = x.new_empty((2, x.shape[0], tiles.across, x.shape[1]), dtype=torch.float32)
    joined = statistics  # stands in for what a kernel of whole groups does not read
    if not tiles.whole:
        parts = x.new_empty((2, tiles.grid[1], statistics.shape[1]), dtype=torch.float32)
        sums_kernel[tiles.grid](
            x, dy, weight, bias, statistics, parts, sums, sums[0].numel(), *tiles.traits,
            RELU=relu, **tiles.sizes, num_warps=tiles.warps,
        )  # fmt: skip
        joined = parts.sum(1)
    backward_kernel[tiles.grid](
        x, dy, dx, weight, bias, statistics, joined, sums, sums[0].numel(), *tiles.traits,
        RELU=relu, WHOLE=tiles.whole, **tiles.sizes, num_warps=tiles.warps,
    )  # fmt: skip
    return dx, sums.sum((1, 2))
