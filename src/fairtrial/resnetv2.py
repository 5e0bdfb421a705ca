"""Pre-activation ResNet, from mini to R152x4.

Layout and parameter names follow google-research/big_transfer, bit_pytorch/models.py. Norms are called norm1,
norm2, norm3 and head.norm, because the norm is a factor here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairtrial.layers import CONVS, NORMS, FilterBank, ScaledStdConv2d, StdConv2d
from fairtrial.layers.choice import FASTEST, KERNELS
from fairtrial.layers.group_norm import GroupNorm

Key = TypeVar("Key")
Row = TypeVar("Row")

EXPANSION = 4  # output channels of a bottleneck per middle channel


@dataclass(frozen=True)
class Spec:
    """One network: the units of each block, the middle channels of the first one, and the kind of root.

    small_images: a 3x3 root of stride 2 without pooling, and groups of at least 8 channels. Otherwise as in
    BiT: a 7x7 root of stride 2, then 3x3 pooling of stride 2, and 32 groups.
    """

    units: tuple[int, ...]
    width: int
    small_images: bool = False


MODELS: dict[str, Spec] = {
    "mini": Spec((2, 2, 2), 16, small_images=True),
    "mini-x2": Spec((2, 2, 2), 16 * 2, small_images=True),
    "mini-x3": Spec((2, 2, 2), 16 * 3, small_images=True),
    "r50x1": Spec((3, 4, 6, 3), 64),
    "r50x3": Spec((3, 4, 6, 3), 64 * 3),
    "r101x1": Spec((3, 4, 23, 3), 64),
    "r101x3": Spec((3, 4, 23, 3), 64 * 3),
    "r152x2": Spec((3, 8, 36, 3), 64 * 2),
    "r152x4": Spec((3, 8, 36, 3), 64 * 4),
}


@dataclass(frozen=True)
class Built:
    """What `create_model` was asked for; a checkpoint carries it."""

    model: str
    num_classes: int
    norm: str
    weight_std: bool | str
    stat_batch: int | None = None


@dataclass(frozen=True)
class Parts:
    """What the arms of one network differ in. norm: channels -> layer; activates: no relu follows it."""

    conv: type[nn.Conv2d]
    norm: Callable[[int], nn.Module]
    activates: bool = False


def groups_of(spec: Spec, channels: int) -> int:
    """The groups of GN for so many channels: 32 as in BiT; in a mini fewer, so that each holds 8 or more."""
    return min(32, channels // 8) if spec.small_images else 32


def create_model(
    name: str,
    num_classes: int,
    norm: str = "gn",
    weight_std: bool | str = True,
    *,
    stat_batch: int | None = None,
    kernels: str = FASTEST,
) -> ResNetV2:
    """The network called `name`; give it a start with `init_weights`, or load one.

    weight_std: False, True, or "scaled" as for a network without norms; all go with every norm.
    stat_batch: images per batch statistic in training (ghost BN), for a norm that mixes the batch.
    kernels: a row of layers.choice.KERNELS; they differ in speed, and in how they round.
    """
    spec = _known("model", name, MODELS)
    row = _known("norm", norm, NORMS)
    conv = _known("weight_std", weight_std, CONVS)
    _known("kernels", kernels, KERNELS)
    if stat_batch is not None and not row.mixes_batch:
        mixing = ", ".join(known for known, each in NORMS.items() if each.mixes_batch)
        raise ValueError(
            f"stat_batch={stat_batch}, but norm {norm!r} has no batch statistic; it is for: {mixing}"
        )

    def build_norm(channels: int) -> nn.Module:
        return row.build(channels, groups=groups_of(spec, channels), stat_batch=stat_batch)

    with torch.random.fork_rng(devices=[]):  # nn.Conv2d draws from the global generator; leave that untouched
        model = ResNetV2(spec, num_classes, Parts(conv, build_norm, row.activates))
    for layer in model.modules():
        if isinstance(layer, StdConv2d | GroupNorm):
            layer.kernels = kernels
    model.built = Built(name, num_classes, norm, weight_std, stat_batch)
    return model


class ResNetV2(nn.Module):
    """images (batch, 3, height, width) -> logits (batch, num_classes)."""

    built: Built

    def __init__(self, spec: Spec, num_classes: int, parts: Parts) -> None:
        super().__init__()
        self.root = _root(spec, parts.conv)
        self.body = nn.Sequential()
        cin = spec.width
        for number, units in enumerate(spec.units):
            cmid = spec.width * 2**number
            block = nn.Sequential()
            for unit in range(units):
                stride = 2 if number > 0 and unit == 0 else 1
                block.add_module(f"unit{unit + 1:02d}", Unit(cin, cmid, stride, parts))
                cin = EXPANSION * cmid
            self.body.add_module(f"block{number + 1}", block)
        self.head = Head(cin, num_classes, parts)
        self.bank = FilterBank(self)

    def forward(self, x: Tensor) -> Tensor:
        with self.bank.one_pass():
            return self.head(self.body(self.root(x)))

    def features(self, x: Tensor) -> Tensor:
        """images (batch, 3, height, width) -> what the linear map of the head sees, (batch, channels)."""
        with self.bank.one_pass():
            return self.head.features(self.body(self.root(x)))


def _root(spec: Spec, conv: type[nn.Conv2d]) -> nn.Sequential:
    root = nn.Sequential()
    if spec.small_images:
        root.add_module("conv", conv(3, spec.width, 3, stride=2, padding=1, bias=False))
        return root
    root.add_module("conv", conv(3, spec.width, 7, stride=2, padding=3, bias=False))
    root.add_module("pad", nn.ConstantPad2d(1, 0.0))  # zeros, as in BiT; MaxPool2d itself would pad with -inf
    root.add_module("pool", nn.MaxPool2d(3, stride=2))
    return root


class Unit(nn.Module):
    """Bottleneck whose first norm and relu feed both the residual branch and the projection."""

    def __init__(self, cin: int, cmid: int, stride: int, parts: Parts) -> None:
        super().__init__()
        cout = EXPANSION * cmid
        conv, norm = parts.conv, parts.norm
        self.activated = _activated(parts)
        self.norm1 = norm(cin)
        self.conv1 = conv(cin, cmid, 1, bias=False)
        self.norm2 = norm(cmid)
        self.conv2 = conv(cmid, cmid, 3, stride=stride, padding=1, bias=False)
        self.norm3 = norm(cmid)
        self.conv3 = conv(cmid, cout, 1, bias=False)
        project = stride > 1 or cin != cout
        self.downsample = conv(cin, cout, 1, stride=stride, bias=False) if project else None

    def forward(self, x: Tensor) -> Tensor:
        out = self.activated(self.norm1, x)
        shortcut = x if self.downsample is None else self.downsample(out)
        out = self.conv1(out)
        out = self.conv2(self.activated(self.norm2, out))
        out = self.conv3(self.activated(self.norm3, out))
        return out.add_(shortcut)


class Head(nn.Module):
    """Norm, relu, mean over the pixels and a linear map, stored as the 1x1 convolution that BiT has."""

    def __init__(self, channels: int, num_classes: int, parts: Parts) -> None:
        super().__init__()
        self.activated = _activated(parts)
        self.norm = parts.norm(channels)
        self.conv = nn.Conv2d(channels, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(self.features(x), self.conv.weight.flatten(1), self.conv.bias)

    def features(self, x: Tensor) -> Tensor:
        return self.activated(self.norm, x).mean((2, 3))


def _activated(parts: Parts) -> Callable[[nn.Module, Tensor], Tensor]:
    return _norm_alone if parts.activates else _norm_relu


def _norm_alone(norm: nn.Module, x: Tensor) -> Tensor:
    return norm(x)


def _norm_relu(norm: nn.Module, x: Tensor) -> Tensor:
    """relu(norm(x)), in place unless the norm returns x itself ("none"), which the shortcut still reads."""
    if isinstance(norm, GroupNorm):
        return norm(x, relu=True)
    out = norm(x)
    return torch.relu(out) if out is x else torch.relu_(out)


def init_weights(model: nn.Module, draw: Callable[[str], np.random.Generator]) -> None:
    """Start the network: He-normal convolutions, scales and gains 1, shifts 0, a head of zeros as in BiT.

    draw: full name of a parameter -> its own generator. A convolution thus starts equal in every arm that has
    one of this name and shape, whatever the norm, with or without weight standardization.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            if module.bias is None:
                _he_normal(module.weight, draw(f"{name}.weight"))
                if isinstance(module, ScaledStdConv2d):
                    nn.init.ones_(module.gain)
            else:  # the head: no other convolution has a bias
                nn.init.zeros_(module.weight)
                nn.init.zeros_(module.bias)
        elif hasattr(module, "reset_parameters"):
            module.reset_parameters()


@torch.no_grad()
def _he_normal(weight: Tensor, generator: np.random.Generator) -> None:
    """Normal of variance 2 / fan-in (He et al., 2015, eq. 10), drawn by NumPy in float32."""
    shape = tuple(weight.shape)
    std = math.sqrt(2 / math.prod(shape[1:]))
    weight.copy_(torch.from_numpy(generator.standard_normal(shape, dtype=np.float32) * np.float32(std)))


def _known(kind: str, name: Key, table: Mapping[Key, Row]) -> Row:
    if name not in table:
        raise ValueError(f"unknown {kind} {name!r}; known: {', '.join(map(str, table))}")
    return table[name]
