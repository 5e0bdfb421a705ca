"""The compiled kernels, on float32 tensors of the CPU."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_int64, c_void_p
from functools import cache
from typing import Final, NamedTuple

import torch
from torch import Tensor

from fairtrial.kernels import compiler

# values; of networks with more, the filters are not in the caches when they are read
CACHED: Final = 4_000_000


@cache
def library() -> ctypes.CDLL:
    """The library that was tried here; dispatch.py says whether there is one."""
    return compiler.load(compiler.kept())


class Shapes(NamedTuple):
    """How many filters each weight has, and of how many values."""

    filters: ctypes.Array[c_int64]
    lengths: ctypes.Array[c_int64]
    total: int

    @classmethod
    def of(cls, weights: Sequence[Tensor]) -> Shapes:
        """The filters of weights (out, in, kh, kw)."""
        filters = [weight.shape[0] for weight in weights]
        lengths = [weight.shape[1:].numel() for weight in weights]
        numbers = c_int64 * len(filters)
        return cls(numbers(*filters), numbers(*lengths), sum(filters))


class Standardized(NamedTuple):
    """The filters of a network, and what their backward pass needs. root, slope: (all filters,)."""

    filters: Sequence[Tensor]
    root: Tensor
    slope: Tensor


def standardize(
    weights: Sequence[Tensor], out: Sequence[Tensor], eps: float, outside: bool, correction: int
) -> Standardized:
    """Every filter of every weight, in one call, into `out`.

    weights, out: of the same layouts, dense, each filter in one piece of memory. ValueError for what is not
    float32 on a CPU: C would read other memory as if it were.
    """
    _refuse_other_than_float32(*weights)
    shapes = Shapes.of(weights)
    root, slope = torch.empty(2, shapes.total, dtype=torch.float32, device="cpu")
    stream = sum(weight.numel() for weight in weights) > CACHED
    library().standardize_filters(
        len(weights), addresses(weights), addresses(out), shapes.filters, shapes.lengths,
        root.data_ptr(), slope.data_ptr(), eps, outside, correction, stream,
    )  # fmt: skip
    return Standardized(out, root, slope)


def standardize_backward(gradients: Sequence[Tensor | None], made: Standardized) -> None:
    """Turn gradients of standardized filters into those of the weights, in place; None is passed over.

    gradients: laid out as the filters are.
    """
    shapes = Shapes.of(made.filters)
    library().standardize_filters_backward(
        len(gradients), addresses(gradients), addresses(made.filters), shapes.filters, shapes.lengths,
        made.root.data_ptr(), made.slope.data_ptr(),
    )  # fmt: skip


def normalize(
    x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, relu: bool
) -> tuple[Tensor, Tensor]:
    """Each group of channels of an image to mean 0 and variance 1, scaled, shifted, and cut at 0 if asked.

    x: (images, channels, height, width) float32 in channels-last -> the map, and what its backward
    pass needs: (n,), first the means of all groups, then the population's variances.
    """
    images, channels, pixels = _sizes(x)
    _refuse_other_than_float32(weight, bias)
    y = torch.empty_like(x)
    kept = x.new_empty(2 * images * (groups + channels))
    room = x.new_empty(2 * images * channels)
    library().norm_forward(
        x.data_ptr(), y.data_ptr(), weight.data_ptr(), bias.data_ptr(), images, pixels, channels,
        groups, eps, relu, kept.data_ptr(), room.data_ptr(),
    )  # fmt: skip
    return y, kept


def normalize_backward(
    dy: Tensor, x: Tensor, groups: int, weight: Tensor, eps: float, relu: bool, kept: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of x, of the scales and of the shifts. dy: laid out as x is."""
    images, channels, pixels = _sizes(x)
    _sizes(dy)
    dx, given = torch.empty_like(x), x.new_empty(2, channels)
    room = x.new_empty(2 * images * (channels + groups))
    library().norm_backward(
        dy.data_ptr(), x.data_ptr(), dx.data_ptr(), weight.data_ptr(), images, pixels, channels,
        groups, eps, relu, kept.data_ptr(), given.data_ptr(), room.data_ptr(),
    )  # fmt: skip
    return dx, given[0], given[1]


def _sizes(x: Tensor) -> tuple[int, int, int]:
    """Images, channels and pixels of a map; ValueError for what C would read wrongly."""
    _refuse_other_than_float32(x)
    if not x.is_contiguous(memory_format=torch.channels_last):
        raise ValueError(f"the compiled norms know channels-last alone, not steps of {x.stride()}")
    return x.shape[0], x.shape[1], x.shape[2] * x.shape[3]


def _refuse_other_than_float32(*tensors: Tensor) -> None:
    for tensor in tensors:
        if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
            known = f"the compiled kernels know float32 on a CPU, not {tensor.dtype} on {tensor.device}"
            raise ValueError(known)


def addresses(tensors: Sequence[Tensor | None]) -> ctypes.Array[c_void_p]:
    """Where the values of each tensor begin, for C; None as it is."""
    return (c_void_p * len(tensors))(*[None if each is None else each.data_ptr() for each in tensors])
