"""Weight standardization: what is computed, and the ways to compute it for all filters of a network at once.

Every way takes weights (out, in, kh, kw) and gives tensors of the same shapes and layouts, in which each
output filter has zero mean and unit variance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fairtrial.kernels import cpu
from fairtrial.kernels.buffer_pool import BufferPool, is_dense
from fairtrial.kernels.dispatch import FASTEST, OURS, OWN, own_kernels

Filters = tuple[Tensor, ...]


@dataclass(frozen=True)
class Definition:
    """One of the things called weight standardization.

    outside: eps is added to the standard deviation, not to the variance. correction: 1 divides by n - 1, the
    variance of a sample; 0 by n, the population's.
    """

    eps: float
    outside: bool = False
    correction: int = 0


BIT: Final = Definition(1e-10)  # big_transfer bit_pytorch/models.py:29, big_vision bit_paper.py:31
DEFINITIONS: Final = {
    "bit": BIT,
    "timm": Definition(1e-6),  # timm std_conv.py:45, its default
    "timm-bit": Definition(1e-8),  # timm resnetv2.py:891, for its BiT networks
    "big_vision": Definition(1e-5, outside=True),  # big_vision bit.py:28
    "ws": Definition(1e-5, outside=True, correction=1),  # WeightStandardization, its PyTorch layer
}


def standardize(weight: Tensor, eps: float, outside: bool = False, correction: int = 0) -> Tensor:
    """Zero mean and unit variance for each output filter: the plain formula.

    weight: (out, in, kh, kw) -> same shape. The rest: see `Definition`.
    """
    correction = min(correction, max(weight.shape[1:].numel() - 1, 0))  # one value: variance 0, and no 0/0
    wide = _wide(weight)
    if outside:  # std and not the root of var: its gradient is 0 where the variance is 0
        std, mean = torch.std_mean(wide, dim=(1, 2, 3), keepdim=True, correction=correction)
        root = 1 / (std + eps)
    else:
        var, mean = torch.var_mean(wide, dim=(1, 2, 3), keepdim=True, correction=correction)
        root = torch.rsqrt(var + eps)
    return ((wide - mean) * root).to(weight.dtype)


def by_batch_norm(weight: Tensor, eps: float) -> Tensor:
    """The same by timm's trick: the filters are the channels of one image, and batch norm treats those."""
    flat = _wide(weight).flatten(1).unsqueeze(0)
    made = torch.batch_norm(flat, None, None, None, None, True, 0.0, eps, False)
    return made.view(weight.shape).to(weight.dtype)


def by_layer_norm(weight: Tensor, eps: float) -> Tensor:
    """The same as a layer norm without scale and shift: one kernel forward, one backward."""
    return torch.layer_norm(weight, weight.shape[1:], eps=eps)


def _wide(weight: Tensor) -> Tensor:
    """The weight in float32 at least: float16 rounds the variance of usual filters away, and eps to 0."""
    return weight.float() if weight.dtype in (torch.float16, torch.bfloat16) else weight


def one_by_one(
    formula: Callable[[Tensor, float], Tensor],
) -> Callable[[Sequence[Tensor], Definition], Filters]:
    """A formula for one weight, for all of them; it knows eps inside the root and the population variance."""

    def all_of(weights: Sequence[Tensor], definition: Definition) -> Filters:
        if definition.outside or definition.correction:
            raise ValueError(f"{formula.__name__} computes eps inside the root and population variance alone")
        return tuple(formula(weight, definition.eps) for weight in weights)

    return all_of


def by_formula(weights: Sequence[Tensor], definition: Definition) -> Filters:
    """The plain formula, for every definition."""
    eps, outside, correction = definition.eps, definition.outside, definition.correction
    return tuple(standardize(weight, eps, outside, correction) for weight in weights)


def by_compiled(weights: Sequence[Tensor], definition: Definition) -> Filters:
    """One call forward and one backward for all weights, in C. float32 on a CPU; no second derivative."""
    return Compiled.apply(definition, None, *weights)


def by_triton(weights: Sequence[Tensor], definition: Definition, dtype: torch.dtype | None = None) -> Filters:
    """One launch forward and one backward for all weights, on a GPU; no second derivative."""
    from fairtrial.kernels import triton_std_conv

    return triton_std_conv.standardize_all(
        weights,
        definition.eps,
        outside=definition.outside,
        correction=definition.correction,
        dtype=dtype,
    )


class Compiled(torch.autograd.Function):
    """The compiled kernels as a function of (definition, pool, weights...).

    pool: whose memory the filters take. With one, the gradients that come back are nobody else's, as those
    of a convolution, and are turned in place.
    """

    @staticmethod
    def forward(ctx: Any, definition: Definition, pool: BufferPool | None, *weights: Tensor) -> Filters:
        ctx.set_materialize_grads(False)  # filters that were not used ask for nothing
        dense = [weight if is_dense(weight) else weight.contiguous() for weight in weights]
        ctx.loan, out = pool.lend(dense) if pool else (None, [torch.empty_like(each) for each in dense])
        made = cpu.standardize(dense, out, definition.eps, definition.outside, definition.correction)
        ctx.save_for_backward(made.root, made.slope, *out)
        return tuple(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        root, slope, *filters = ctx.saved_tensors
        wanted = ctx.needs_input_grad[2:]
        turned = [
            _laid_out_as(made, gradient, ctx.loan is not None) if want and gradient is not None else None
            for want, gradient, made in zip(wanted, gradients, filters, strict=True)
        ]
        cpu.standardize_backward(turned, cpu.Standardized(filters, root, slope))
        if ctx.loan:
            ctx.loan.end()
        return None, None, *turned


def _laid_out_as(made: Tensor, gradient: Tensor, own: bool) -> Tensor:
    """The gradient in memory of its own, in the order of `made`."""
    if own and gradient.stride() == made.stride():
        return gradient
    return torch.empty_like(made).copy_(gradient)


WAYS: Final[dict[str, Callable[[Sequence[Tensor], Definition], Filters]]] = {
    "var_mean": by_formula,
    "batch_norm": one_by_one(by_batch_norm),
    "layer_norm": one_by_one(by_layer_norm),
    "compiled": by_compiled,
    "triton": by_triton,
}


def ways_on(device: torch.device) -> list[str]:
    """The rows of WAYS that a device can run: torch's own, and ours where they can be had."""
    return [way for way in WAYS if way not in OWN.values() or way == own_kernels(device)]


def way_of(kernels: str, weight: Tensor) -> str:
    """The row of WAYS that computes these filters: the rule of `create_model`.

    Our own kernels know float32, whatever the layout and the shape; other dtypes go through torch's.
    """
    if kernels == "plain":
        return "var_mean"
    own = own_kernels(weight.device) if kernels in OURS and weight.dtype == torch.float32 else None
    return own or "layer_norm"


def standardize_all(
    weights: Sequence[Tensor],
    definition: Definition = BIT,
    kernels: str = FASTEST,
    pool: BufferPool | None = None,
    dtype: torch.dtype | None = None,
) -> Filters:
    """The standardized filters of all weights, by the way that `way_of` picks.

    weights: (out, in, kh, kw) each -> the same shapes. pool: see `Compiled`. dtype: what the filters are
    rounded to next; a way that can does it at once, which gives the same values.
    """
    way = way_of(kernels, weights[0])
    if way == "compiled":
        return Compiled.apply(definition, pool, *weights)
    if way == "triton":
        return by_triton(weights, definition, dtype)
    return WAYS[way](weights, definition)
