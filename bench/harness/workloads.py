"""What a call has to do at the least: bytes that must move, operations that must be made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fairtrial.layers import StdConv2d
from fairtrial.models.resnet import ResNetV2
from fairtrial.training.flops import flops_of_features, flops_of_step

FILTER_PASSES = {"forward": 2, "forward_backward": 5}  # w, made | the same, then the gradient, made, its own
NORM_PASSES = {"forward": 2, "forward_backward": 5}  # x, y | the same, then dy, x, dx
CONV_PASSES = {"forward": 1, "forward_backward": 3}  # x, w, y | the same, then dy, w, dx, then dy, x, dw


@dataclass(frozen=True)
class Work:
    """bytes_moved: by `formula`, every tensor once per kernel. flops: None where nobody counts them.

    images: that one call treats. A multiply-accumulate counts 2.
    """

    bytes_moved: int
    formula: str
    flops: int | None = None
    images: int | None = None

    def record(self) -> dict[str, int | str | None]:
        """As it stands in extra_info."""
        return {
            "bytes_moved": self.bytes_moved,
            "bytes_formula": self.formula,
            "flops": self.flops,
            "images": self.images,
        }


def of_filters(weights: Iterable[Tensor], run: str = "forward_backward") -> Work:
    """Standardizing filters; five times their bytes there and back."""
    return Work(
        FILTER_PASSES[run] * sum(map(_bytes, weights)), f"{FILTER_PASSES[run]} x bytes of the filters"
    )


def of_norm(x: Tensor, run: str) -> Work:
    """A normalization of x."""
    return Work(NORM_PASSES[run] * _bytes(x), f"{NORM_PASSES[run]} x bytes of x", images=len(x))


def of_conv(conv: nn.Conv2d, x: Tensor, run: str) -> Work:
    """A convolution of x with plain filters."""
    y = conv(x)
    times = CONV_PASSES[run]
    macs = y.numel() * conv.weight[0].numel()
    return Work(
        times * sum(map(_bytes, (x, conv.weight, y))),
        f"{times} x (x + filters + y)",
        2 * times * macs,
        len(x),
    )


def of_step(model: ResNetV2, batch_size: int, side: int, steps: int = 1) -> Work:
    """Forward and backward of so many batches, without what relu, pooling and sums move."""
    device = next(model.parameters()).device
    moved = steps * _bytes_of_network(
        model, torch.rand(batch_size, 3, side, side, device=device), "forward_backward"
    )
    moved += 5 * _standardized(model)
    flops = steps * flops_of_step(model.built.model, batch_size, side, model.built.num_classes)
    formula = "3 x (x + filters + y) of each convolution + 5 x bytes of x of each norm"
    return Work(moved, f"{formula} + 5 x standardized filters, once", flops, steps * batch_size)


def of_evaluation(model: ResNetV2, batch_size: int, side: int, batches: int) -> Work:
    """Forward passes of so many batches, the filters standardized once."""
    device = next(model.parameters()).device
    moved = batches * _bytes_of_network(
        model, torch.rand(batch_size, 3, side, side, device=device), "forward"
    )
    moved += 2 * _standardized(model)
    flops = flops_of_features(model.built.model, batches * batch_size, side, model.built.num_classes)
    formula = (
        "x + filters + y of each convolution + 2 x bytes of x of each norm + 2 x standardized filters, once"
    )
    return Work(moved, formula, flops, batches * batch_size)


@torch.no_grad()
def _bytes_of_network(model: ResNetV2, images: Tensor, run: str) -> int:
    """What convolutions and norms move, by the shapes that they see. relu, pooling and sums count nothing."""
    moved: list[int] = []

    def note(module: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            moved.append(CONV_PASSES[run] * (_bytes(given[0]) + _bytes(module.weight) + _bytes(out)))
        else:
            moved.append(NORM_PASSES[run] * _bytes(given[0]))

    norms = [module for name, module in model.named_modules() if name.split(".")[-1].startswith("norm")]
    seen = [*(module for module in model.modules() if isinstance(module, nn.Conv2d)), *norms]
    handles = [module.register_forward_hook(note) for module in seen]
    training = model.training
    model.eval()(images)
    model.train(training)
    for handle in handles:
        handle.remove()
    return sum(moved)


def _standardized(model: nn.Module) -> int:
    return sum(_bytes(module.weight) for module in model.modules() if isinstance(module, StdConv2d))


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
