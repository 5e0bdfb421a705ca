"""Pre-activation ResNet, from mini to R152x4; by its options also the steps from ResNet v1 to it.

Layout and parameter names follow google-research/big_transfer, bit_pytorch/models.py. Norms are called norm1,
norm2, norm3 and head.norm, because the norm is a factor here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairtrial.kernels.dispatch import FASTEST, KERNELS
from fairtrial.layers import CONVS, NORMS, FilterBank, ScaledStdConv2d, StdConv2d
from fairtrial.layers.batch_norm import BatchNorm2d
from fairtrial.layers.group_norm import GroupNorm
from fairtrial.models.blocks import EXPANSION, Parts, activated
from fairtrial.norm_table import BLOCK_TABLE, NORM_TABLE, named_by

Key = TypeVar("Key")
Row = TypeVar("Row")

PRE = "pre-activation"
STRIDES_ON = ("3x3", "1x1")  # BiT's and torchvision's, and that of He et al.
HEADS = ("zero", "drawn")  # how the last linear map starts: as in BiT, and as in torchvision


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
    "mini-half": Spec((2, 2, 2), 16 // 2, small_images=True),
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
    block: str = PRE
    stride_on: str = "3x3"
    groups: int | None = None

    def record(self) -> dict[str, Any]:
        """Every field by name; groups only where it was asked for, as in files from before it could be."""
        return {name: value for name, value in asdict(self).items() if (name, value) != ("groups", None)}


def groups_of(spec: Spec, channels: int, groups: int | None = None) -> int:
    """The groups of GN for so many channels: 32 as in BiT; in a mini fewer, so that each holds 8 or more.

    groups: as many, or the largest of its divisors that divides the channels: 1 is layer, and as many as
    there are channels instance normalization (Wu & He, 2018, section 3.1).
    """
    if groups is not None:
        return math.gcd(groups, channels)
    return min(32, channels // 8) if spec.small_images else 32


def create_model(
    name: str,
    num_classes: int,
    norm: str = "gn",
    weight_std: bool | str = True,
    *,
    stat_batch: int | None = None,
    kernels: str = FASTEST,
    block: str = PRE,
    stride_on: str = "3x3",
    groups: int | None = None,
) -> ResNetV2:
    """The network called `name`; give it a start with `init_weights`, or load one.

    weight_std: False, True, or "scaled" as for a network without norms; all go with every norm.
    stat_batch: images per batch statistic in training (ghost BN), for a norm that mixes the batch.
    kernels: a row of kernels.dispatch.KERNELS; they differ in speed, and in how they round.
    block: "pre-activation" as in BiT, or "post-activation" as in ResNet v1: norms behind the convolutions,
    one behind the root, none before the head. stride_on: the convolution of a unit that halves the map.
    groups: of "gn", in every layer; None for as many as `groups_of` says.
    """
    spec = _known("model", name, MODELS)
    row = _known("norm", norm, NORMS)
    conv = _known("weight_std", weight_std, CONVS)
    for kind, value, table in (
        ("kernels", kernels, KERNELS),
        ("block", block, BLOCK_TABLE),
        ("stride_on", stride_on, dict.fromkeys(STRIDES_ON)),
    ):
        _known(kind, value, table)
    unit = BLOCK_TABLE[block]
    if row.activates and not unit.preactivated:
        raise ValueError(f"norm {norm!r} activates by itself, but a {block} block sums before its relu")
    _refuse_options(norm, stat_batch, groups)

    def build_norm(channels: int) -> nn.Module:
        return row.build(channels, groups=groups_of(spec, channels, groups), stat_batch=stat_batch)

    with torch.random.fork_rng(devices=[]):  # nn.Conv2d draws from the global generator; leave that untouched
        ways = (row.activates, unit.preactivated, stride_on, row.relu_in_place)
        model = ResNetV2(spec, num_classes, Parts(conv, build_norm, named_by(unit.builder), *ways))
    for layer in model.modules():
        if isinstance(layer, StdConv2d | BatchNorm2d | GroupNorm):
            layer.kernels = kernels
    model.built = Built(name, num_classes, norm, weight_std, stat_batch, block, stride_on, groups)
    return model


def _refuse_options(norm: str, stat_batch: int | None, groups: int | None) -> None:
    """A ValueError where a norm has no use for an option."""
    if groups is not None and not NORM_TABLE[norm].takes_groups:
        raise ValueError(f"groups={groups}, but norm {norm!r} has no number of groups to choose")
    if stat_batch is not None and not NORMS[norm].mixes_batch:
        mixing = ", ".join(known for known, each in NORMS.items() if each.mixes_batch)
        raise ValueError(
            f"stat_batch={stat_batch}, but norm {norm!r} has no batch statistic; it is for: {mixing}"
        )


class ResNetV2(nn.Module):
    """images (batch, 3, height, width) -> logits (batch, num_classes)."""

    built: Built

    def __init__(self, spec: Spec, num_classes: int, parts: Parts) -> None:
        super().__init__()
        self.root = _root(spec, parts)
        self.body = nn.Sequential()
        cin = spec.width
        for number, units in enumerate(spec.units):
            cmid = spec.width * 2**number
            block = nn.Sequential()
            for unit in range(units):
                stride = 2 if number > 0 and unit == 0 else 1
                block.add_module(f"unit{unit + 1:02d}", parts.unit(cin, cmid, stride, parts))
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


def _root(spec: Spec, parts: Parts) -> nn.Sequential:
    root, size = nn.Sequential(), 3 if spec.small_images else 7
    root.add_module("conv", parts.conv(3, spec.width, size, stride=2, padding=size // 2, bias=False))
    if not parts.preactivated:
        root.add_module("norm", parts.norm(spec.width))
        root.add_module("relu", nn.ReLU(inplace=True))
    if not spec.small_images:
        root.add_module("pad", nn.ConstantPad2d(1, 0.0))  # zeros, as in BiT; MaxPool2d itself pads with -inf
        root.add_module("pool", nn.MaxPool2d(3, stride=2))
    return root


class Head(nn.Module):
    """Norm, relu, mean over the pixels and a linear map, stored as the 1x1 convolution that BiT has.

    Behind post-activation blocks without norm and relu: both were there already.
    """

    def __init__(self, channels: int, num_classes: int, parts: Parts) -> None:
        super().__init__()
        self.activated = activated(parts)
        self.norm = parts.norm(channels) if parts.preactivated else None
        self.conv = nn.Conv2d(channels, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(self.features(x), self.conv.weight.flatten(1), self.conv.bias)

    def features(self, x: Tensor) -> Tensor:
        return self.last_map(x).mean((2, 3))

    def last_map(self, x: Tensor) -> Tensor:
        """What is averaged over the pixels; in a detector, what its pyramid sees."""
        return x if self.norm is None else self.activated(self.norm, x)


def init_weights(model: nn.Module, draw: Callable[[str], np.random.Generator], head: str = "zero") -> None:
    """Start the network: He-normal convolutions, scales and gains 1, shifts 0.

    draw: full name of a parameter -> its own generator. A convolution thus starts equal in every arm that has
    one of this name and shape, whatever the norm, with or without weight standardization. head: "zero" as in
    BiT, or "drawn" as torch starts a linear map: uniform within 1 / sqrt(channels), the bias too.
    """
    _known("head", head, dict.fromkeys(HEADS))
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            if module.bias is None:
                _he_normal(module.weight, draw(f"{name}.weight"))
                if isinstance(module, ScaledStdConv2d):
                    nn.init.ones_(module.gain)
            elif head == "drawn":  # the head: no other convolution has a bias
                for part, value in module.named_parameters():
                    _uniform(value, 1 / math.sqrt(module.in_channels), draw(f"{name}.{part}"))
            else:
                nn.init.zeros_(module.weight)
                nn.init.zeros_(module.bias)
        elif hasattr(module, "reset_parameters"):
            module.reset_parameters()


@torch.no_grad()
def _uniform(value: Tensor, bound: float, generator: np.random.Generator) -> None:
    """Uniform within the bound on both sides of 0, drawn by NumPy in float32."""
    unit = generator.random(tuple(value.shape), dtype=np.float32)
    value.copy_(torch.from_numpy((2 * unit - 1) * np.float32(bound)))


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
