"""Norms on a CPU with the relu that follows them, in one pass over maps in channels-last."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fairtrial.kernels import cpu
from fairtrial.kernels.dispatch import FUSED, own_kernels


def fuses(kernels: str, x: Tensor) -> bool:
    """Whether `normalized` computes this map, in a network of these kernels."""
    return (
        kernels == FUSED
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.is_contiguous(memory_format=torch.channels_last)
        and own_kernels(x.device) is not None
    )


def normalized(
    x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, relu: bool
) -> tuple[Tensor, Tensor]:
    """`cpu.normalize`, with a gradient of the map."""
    if torch.is_grad_enabled():
        return _Normalized.apply(x, groups, weight, bias, eps, relu)
    return cpu.normalize(x, groups, weight, bias, eps, relu)


class _Normalized(torch.autograd.Function):
    """The mask of the relu is found again in the backward instead of being stored."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, relu: bool
    ) -> tuple[Tensor, Tensor]:
        y, kept = cpu.normalize(x, groups, weight, bias, eps, relu)
        ctx.save_for_backward(x, weight, kept)
        ctx.mark_non_differentiable(kept)
        ctx.set_materialize_grads(False)
        ctx.groups, ctx.eps, ctx.relu = groups, eps, relu
        return y, kept

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, _: None) -> tuple[Any, ...]:
        x, weight, kept = ctx.saved_tensors
        dy = dy.contiguous(memory_format=torch.channels_last)
        dx, dweight, dbias = cpu.normalize_backward(dy, x, ctx.groups, weight, ctx.eps, ctx.relu, kept)
        return dx, None, dweight, dbias, None, None
