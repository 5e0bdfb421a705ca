"""The update of SGD with momentum: by torch's operations, or in one call of C that gives their bits."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Array, c_int64
from functools import cache
from typing import Final, NamedTuple

import torch
from torch import Tensor

from fairtrial.kernels import cpu
from fairtrial.kernels.buffer_pool import is_dense
from fairtrial.kernels.dispatch import tried

ORDERS: Final = {True: torch.contiguous_format, False: torch.channels_last}
TRIED: Final = ((5,), (61,), (16, 3, 3, 3))  # shapes of the weights that are held against torch's


class Rates(NamedTuple):
    """What an update depends on beside its gradients."""

    lr: float
    momentum: float
    weight_decay: float


class ForC(NamedTuple):
    """Weights that C can update: how many values each has, and in which order they lie in memory."""

    sizes: Array[c_int64]
    orders: Sequence[torch.memory_format]

    @classmethod
    def of(cls, weights: Sequence[Tensor]) -> ForC | None:
        """None where C cannot update one of them, or gives other bits than torch."""
        known = all(
            weight.device.type == "cpu" and weight.dtype == torch.float32 and is_dense(weight)
            for weight in weights
        )
        if not (known and tried("cpu") and repeats_torch()):
            return None
        orders = [ORDERS[weight.is_contiguous()] for weight in weights]
        return cls((c_int64 * len(weights))(*[weight.numel() for weight in weights]), orders)

    def fit(self, tensors: Sequence[Tensor]) -> bool:
        """Whether tensors of the weights' shapes lie as the weights do."""
        return all(
            tensor.is_contiguous(memory_format=order)
            for tensor, order in zip(tensors, self.orders, strict=True)
        )


def by_torch(
    weights: Sequence[Tensor], gradients: Sequence[Tensor], velocity: list[Tensor] | None, rates: Rates
) -> list[Tensor]:
    """Update the weights -> the velocities, which are changed in place but for the first time."""
    if rates.weight_decay:
        gradients = torch._foreach_add(gradients, weights, alpha=rates.weight_decay)
    if velocity is None:
        velocity = [gradient.clone() for gradient in gradients]
    else:
        torch._foreach_mul_(velocity, rates.momentum)
        torch._foreach_add_(velocity, gradients)
    torch._foreach_add_(weights, velocity, alpha=-rates.lr)
    return velocity


def by_c(
    weights: Sequence[Tensor],
    gradients: Sequence[Tensor],
    velocity: list[Tensor] | None,
    rates: Rates,
    lie: ForC,
) -> list[Tensor]:
    """The same, of tensors that fit."""
    first = velocity is None
    moving = [torch.empty_like(weight) for weight in weights] if velocity is None else velocity
    cpu.library().sgd_update(
        len(weights), cpu.addresses(weights), cpu.addresses(gradients), cpu.addresses(moving), lie.sizes,
        *rates, first,
    )  # fmt: skip
    torch.autograd.graph.increment_version(weights)
    return moving


@cache
def repeats_torch() -> bool:
    """Whether C gives the bits of torch's update here; tried once in a process."""
    draw = torch.Generator().manual_seed(0)
    start, *steps = [[torch.randn(shape, generator=draw) for shape in TRIED] for _ in range(4)]
    lie = ForC((c_int64 * len(start))(*[weight.numel() for weight in start]), ())
    ends: list[list[Tensor]] = []
    with torch.inference_mode(False), torch.no_grad():
        for own in (True, False):
            weights, velocity = [weight.clone() for weight in start], None
            for number, gradients in enumerate(steps):
                given = weights, gradients, velocity, Rates(0.3 / (number + 3), 0.9, 1e-2)
                velocity = by_c(*given, lie) if own else by_torch(*given)
            ends.append([*weights, *(velocity or [])])
    pairs = zip(*ends, strict=True)
    return all(torch.equal(one.view(torch.int32), other.view(torch.int32)) for one, other in pairs)
