"""Batch norm on a CPU with the relu that follows it: the bits of torch's, in fewer passes over the maps."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from fairtrial.kernels import cpu, cpu_norm

WIDE: Final = 16  # channels that C treats at a time; other numbers of them are left to torch
TRIED: Final = ((3, 16, 5), (2, 48, 9))  # images, channels and side of the maps that are held against torch's


def fuses(kernels: str, x: Tensor, training: bool) -> bool:
    """Whether `evaluated`, or `trained`, computes this map, in a network of these kernels.

    The order in which torch adds up a batch depends on its threads: ours is that of one. In evaluation with a
    gradient torch computes, and for a map of 1x1, which it takes for one in NCHW.
    """
    return (
        cpu_norm.fuses(kernels, x)
        and x.shape[1] % WIDE == 0
        and not x.is_contiguous()
        and torch.get_num_threads() == 1
        and (training or not torch.is_grad_enabled())
        and repeats_torch()
    )


def evaluated(layer: nn.BatchNorm2d, x: Tensor, relu: bool) -> Tensor:
    """The map normalized with running statistics, and cut at 0 if asked. x: (images, channels, h, w)."""
    y = torch.empty_like(x)
    cpu.library().batch_norm_evaluated(
        x.data_ptr(), y.data_ptr(), *_addresses(layer), *_sizes(x), layer.eps, relu
    )
    return y


def trained(layer: nn.BatchNorm2d, x: Tensor, relu: bool) -> Tensor:
    """The same with the statistics of the batch; the layer's running ones move."""
    if torch.is_grad_enabled():
        return _Trained.apply(x, layer.weight, layer.bias, layer, relu)
    return _forward(layer, x, relu)[0]


def _forward(layer: nn.BatchNorm2d, x: Tensor, relu: bool) -> tuple[Tensor, Tensor]:
    """The map, and what its backward pass needs: mean, 1 / deviation, scale and shift of each channel."""
    y, kept = torch.empty_like(x), x.new_empty(4, x.shape[1])
    batches: Any = layer.num_batches_tracked
    cpu.library().batch_norm_forward(
        x.data_ptr(), y.data_ptr(), *_addresses(layer), batches.data_ptr(), *_sizes(x),
        layer.momentum, layer.eps, relu, kept.data_ptr(),
    )  # fmt: skip
    return y, kept


class _Trained(torch.autograd.Function):
    """The mask of the relu is found again in the backward instead of being read."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, layer: nn.BatchNorm2d, relu: bool
    ) -> Tensor:
        y, kept = _forward(layer, x, relu)
        ctx.save_for_backward(x, weight, kept)
        ctx.eps, ctx.relu = layer.eps, relu
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
        x, weight, kept = ctx.saved_tensors
        if ctx.relu:
            dy = dy.contiguous(memory_format=torch.channels_last)  # as torch's relu lays out its gradient
        elif not dy.is_contiguous(memory_format=torch.channels_last):  # torch adds up such maps otherwise
            mean, root = kept[:2]
            given = torch.ops.aten.native_batch_norm_backward(
                dy, x, weight, None, None, mean, root, True, ctx.eps, [True, True, True]
            )
            return *given, None, None
        return *_backward(dy, x, weight, kept, ctx.relu), None, None


def _backward(
    dy: Tensor, x: Tensor, weight: Tensor, kept: Tensor, relu: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, of the scales and of the shifts."""
    dx, dweight, dbias = (torch.empty_like(tensor) for tensor in (x, weight, weight))
    cpu.library().batch_norm_backward(
        dy.data_ptr(), x.data_ptr(), dx.data_ptr(), weight.data_ptr(), *_sizes(x), relu,
        kept.data_ptr(), dweight.data_ptr(), dbias.data_ptr(),
    )  # fmt: skip
    return dx, dweight, dbias


def _addresses(layer: nn.BatchNorm2d) -> list[int]:
    tensors: Any = layer.weight, layer.bias, layer.running_mean, layer.running_var
    return [tensor.data_ptr() for tensor in tensors]


def _sizes(x: Tensor) -> tuple[int, int]:
    images, channels, high, wide = x.shape
    return images * high * wide, channels


@cache
def repeats_torch() -> bool:
    """Whether one thread gives the bits of torch's batch norm here; tried once in a process.

    What torch rounds depends on its compiler, and on the instructions that it was told to use.
    """
    with torch.inference_mode(False), torch.enable_grad():
        return all(_same(*shape, relu) for shape in TRIED for relu in (False, True))


def _same(images: int, channels: int, side: int, relu: bool) -> bool:
    """Whether maps, gradients and statistics of drawn maps are the same, ours and torch's."""
    draw = torch.Generator().manual_seed(0)
    shape = images, channels, side, side
    x, dy = (
        torch.randn(shape, generator=draw).contiguous(memory_format=torch.channels_last) for _ in range(2)
    )
    values = torch.randn(2, channels, generator=draw)
    ours, theirs = (_results(x, dy, values, relu, own) for own in (True, False))
    return all(torch.equal(_bits(one), _bits(other)) for one, other in zip(ours, theirs, strict=True))


def _results(x: Tensor, dy: Tensor, values: Tensor, relu: bool, own: bool) -> list[Tensor]:
    """A step in training and one in evaluation behind it, of a new layer."""
    layer, x = nn.BatchNorm2d(x.shape[1]), x.clone().requires_grad_()
    with torch.no_grad():
        for parameter, value in zip(layer.parameters(), values, strict=True):
            parameter.copy_(value)
    y = trained(layer, x, relu) if own else _by_torch(layer, x, relu)
    y.backward(dy)
    layer.eval()
    with torch.no_grad():
        z = evaluated(layer, x, relu) if own else _by_torch(layer, x, relu)
    gradients = [tensor.grad for tensor in (x, *layer.parameters())]
    return [y.detach(), z, *layer.buffers(), *gradients]


def _bits(values: Tensor) -> Tensor:
    """Floats as integers, so that the sign of a zero counts."""
    return values.view(torch.int32) if values.is_floating_point() else values


def _by_torch(layer: nn.BatchNorm2d, x: Tensor, relu: bool) -> Tensor:
    y = layer(x)
    return torch.relu_(y) if relu else y
