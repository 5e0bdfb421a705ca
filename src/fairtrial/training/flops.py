"""What a training step costs in counted operations."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import torch
from torch import nn

from fairtrial.models.blocks import Unit
from fairtrial.models.resnet import PRE, ResNetV2, create_model
from fairtrial.models.torchvision_backbones import count_macs, create_backbone, last_stage, layer_macs
from fairtrial.study.backbone_names import backbone


@cache
def flops_of_step(
    model: str,
    batch_size: int,
    resolution: int,
    classes: int,
    finetune: str = "full",
    stride_on: str = "3x3",
    block: str = PRE,
) -> int:
    """Forward and backward of one step: convolutions and the head, a multiply-accumulate counting 2.

    As torch's FlopCounterMode counts (test), from shapes alone: that counter runs the network on the meta
    device, which imports torch's compiler in every job. Equal for all norms by definition, so a budget in
    flops is blind to the price of a norm. A layer costs its forward pass once, and once more each for the
    gradients of its filters and of its input; nobody asks for the gradient of the images. finetune "last":
    what is frozen has a forward pass alone. "linear_probe": the head, as its features are computed once.
    """
    layers = macs_by_layer(model, resolution, classes, stride_on, block)
    first, head = next(iter(layers)), list(layers)[-1]
    if finetune == "linear_probe":
        return 2 * batch_size * 2 * layers[head]
    price = dict.fromkeys(layers, 3) | {first: 2}
    if finetune == "last":
        price = {layer: 3 if layer.startswith(_last(model)) else 1 for layer in layers}
    return 2 * batch_size * sum(price[layer] * macs for layer, macs in layers.items())


def flops_of_features(
    model: str, images: int, resolution: int, classes: int, stride_on: str = "3x3", block: str = PRE
) -> int:
    """One forward pass of so many images: what a probe pays once."""
    return 2 * images * sum(macs_by_layer(model, resolution, classes, stride_on, block).values())


@cache
def macs_by_layer(
    model: str, resolution: int, classes: int, stride_on: str = "3x3", block: str = PRE
) -> Mapping[str, int]:
    """Layer -> multiply-accumulates of one image, in the order of the forward pass; the head is the last.

    The blocks of BiT and of ResNet v1 cost the same; one of a plug-in is counted as it runs.
    """
    if backbone(model):
        return MappingProxyType(layer_macs(model, resolution, classes))
    with torch.device("meta"):
        own = block in (PRE, "post-activation")
        network = create_model(
            model, classes, "none", False, stride_on=stride_on, block=PRE if own else block
        ).eval()
        if own:
            return MappingProxyType(_macs(network, resolution))
        macs = count_macs(network, lambda: network(torch.empty(1, 3, resolution, resolution)))
    return MappingProxyType(macs | {"head.conv": network.head.conv.weight.numel()})


@cache
def _last(model: str) -> tuple[str, ...]:
    """The first letters of the layers that finetune "last" trains."""
    with torch.device("meta"):
        if not backbone(model):
            network = create_model(model, 1, "none", False)
            return (f"body.block{len(network.body)}.", "head.")
        other = create_backbone(model, 1)
    names = {id(module): name for name, module in other.named_modules()}
    return tuple(names[id(module)] for module in last_stage(other))


def _macs(network: ResNetV2, side: int) -> dict[str, int]:
    root = network.root.get_submodule("conv")
    assert isinstance(root, nn.Conv2d)
    side = _side(root, side)
    macs = {"root.conv": side**2 * root.weight.numel()}
    if hasattr(network.root, "pool"):
        side = (side + 2 - 3) // 2 + 1  # padded by 1, then 3x3 with stride 2
    for name, unit in network.named_modules():
        if isinstance(unit, Unit):
            inner = _side(unit.conv1, side)
            side = _side(unit.conv2, inner)
            if unit.downsample is not None:
                macs[f"{name}.downsample"] = side**2 * unit.downsample.weight.numel()
            macs[f"{name}.conv1"] = inner**2 * unit.conv1.weight.numel()
            macs[f"{name}.conv2"] = side**2 * unit.conv2.weight.numel()
            macs[f"{name}.conv3"] = side**2 * unit.conv3.weight.numel()
    return macs | {"head.conv": network.head.conv.weight.numel()}


def _side(conv: nn.Conv2d, side: int) -> int:
    return (side + 2 * int(conv.padding[0]) - conv.kernel_size[0]) // conv.stride[0] + 1
