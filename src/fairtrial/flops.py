"""What a training step costs in counted operations."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import torch
from torch import nn

from fairtrial.resnetv2 import ResNetV2, Unit, create_model


@cache
def flops_of_step(model: str, batch_size: int, resolution: int, classes: int) -> int:
    """Forward and backward of one step: convolutions and the head, a multiply-accumulate counting 2.

    As torch's FlopCounterMode counts (test), from shapes alone: that counter runs the network on the meta
    device, which imports torch's compiler in every job. Equal for all norms by definition, so a budget in
    flops is blind to the price of a norm.
    """
    with torch.device("meta"):
        network = create_model(model, classes, "none", False)
    first, *others = _macs(network, resolution)
    return 2 * batch_size * (2 * first + 3 * sum(others))  # nobody asks for the gradient of the images


def _macs(network: ResNetV2, side: int) -> Iterator[int]:
    """Multiply-accumulates of one image, layer by layer, in the order of the forward pass."""
    root = network.root.get_submodule("conv")
    assert isinstance(root, nn.Conv2d)
    side = _side(root, side)
    yield side**2 * root.weight.numel()
    if hasattr(network.root, "pool"):
        side = (side + 2 - 3) // 2 + 1  # padded by 1, then 3x3 with stride 2
    for unit in (module for module in network.body.modules() if isinstance(module, Unit)):
        before, side = side, _side(unit.conv2, side)
        if unit.downsample is not None:
            yield side**2 * unit.downsample.weight.numel()
        yield before**2 * unit.conv1.weight.numel()
        yield side**2 * (unit.conv2.weight.numel() + unit.conv3.weight.numel())
    yield network.head.conv.weight.numel()


def _side(conv: nn.Conv2d, side: int) -> int:
    return (side + 2 * int(conv.padding[0]) - conv.kernel_size[0]) // conv.stride[0] + 1
