"""Bottleneck units: pre-activation as in BiT, post-activation as in ResNet v1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fairtrial.layers.batch_norm import BatchNorm2d
from fairtrial.layers.group_norm import GroupNorm

EXPANSION = 4  # output channels of a bottleneck per middle channel


@dataclass(frozen=True)
class Parts:
    """What the arms of one network differ in.

    norm: channels -> layer; activates: no relu follows it; relu_in_place: the relu may overwrite its output.
    unit: (cin, cmid, stride, parts) -> a residual unit, (batch, cin, H, W) -> (batch, 4 cmid, H / stride,
    W / stride). preactivated: norm and relu come before each convolution (He et al., 2016), not after it (He
    et al., 2015). stride_on: the convolution that halves a map, "3x3" or "1x1", the first one.
    """

    conv: type[nn.Conv2d]
    norm: Callable[[int], nn.Module]
    unit: Callable[[int, int, int, Parts], nn.Module]
    activates: bool = False
    preactivated: bool = True
    stride_on: str = "3x3"
    relu_in_place: bool = True

    def strides(self, stride: int) -> tuple[int, int]:
        """(of the first 1x1, of the 3x3) in a unit that reduces its map so much."""
        return (1, stride) if self.stride_on == "3x3" else (stride, 1)


class Unit(nn.Module):
    """Three norms, the convolutions 1x1, 3x3, 1x1, and the projection; kinds of units order them.

    normed: the channels that each norm sees. Parameters keep this order: digests of weights depend on it.
    """

    def __init__(self, cin: int, cmid: int, stride: int, parts: Parts, normed: tuple[int, int, int]) -> None:
        super().__init__()
        cout, conv = EXPANSION * cmid, parts.conv
        first, second = parts.strides(stride)
        self.activated = activated(parts)
        self.norm1 = parts.norm(normed[0])
        self.conv1 = conv(cin, cmid, 1, stride=first, bias=False)
        self.norm2 = parts.norm(normed[1])
        self.conv2 = conv(cmid, cmid, 3, stride=second, padding=1, bias=False)
        self.norm3 = parts.norm(normed[2])
        self.conv3 = conv(cmid, cout, 1, bias=False)
        project = stride > 1 or cin != cout
        self.downsample = conv(cin, cout, 1, stride=stride, bias=False) if project else None


class PreUnit(Unit):
    """Bottleneck whose first norm and relu feed both the residual branch and the projection."""

    def __init__(self, cin: int, cmid: int, stride: int, parts: Parts) -> None:
        super().__init__(cin, cmid, stride, parts, (cin, cmid, cmid))

    def forward(self, x: Tensor) -> Tensor:
        out = self.activated(self.norm1, x)
        shortcut = x if self.downsample is None else self.downsample(out)
        out = self.conv1(out)
        out = self.conv2(self.activated(self.norm2, out))
        out = self.conv3(self.activated(self.norm3, out))
        return out.add_(shortcut)


class PostUnit(Unit):
    """Bottleneck with a norm behind each convolution, the projection's too, and a relu behind the sum."""

    def __init__(self, cin: int, cmid: int, stride: int, parts: Parts) -> None:
        cout = EXPANSION * cmid
        super().__init__(cin, cmid, stride, parts, (cmid, cmid, cout))
        self.shortcut_norm = None if self.downsample is None else parts.norm(cout)

    def forward(self, x: Tensor) -> Tensor:
        out = self.activated(self.norm1, self.conv1(x))
        out = self.activated(self.norm2, self.conv2(out))
        out = self.norm3(self.conv3(out))
        if self.downsample is not None and self.shortcut_norm is not None:
            x = self.shortcut_norm(self.downsample(x))
        return torch.relu_(out + x)


def activated(parts: Parts) -> Callable[[nn.Module, Tensor], Tensor]:
    """(norm, x) -> what the next convolution sees."""
    if parts.activates:
        return _norm_alone
    return _norm_relu if parts.relu_in_place else _norm_then_relu


def _norm_alone(norm: nn.Module, x: Tensor) -> Tensor:
    return norm(x)


def _norm_then_relu(norm: nn.Module, x: Tensor) -> Tensor:
    return torch.relu(norm(x))


def _norm_relu(norm: nn.Module, x: Tensor) -> Tensor:
    """relu(norm(x)), in place unless the norm returns x itself ("none"), which the shortcut still reads."""
    if isinstance(norm, BatchNorm2d | GroupNorm):
        return norm(x, relu=True)
    out = norm(x)
    return torch.relu(out) if out is x else torch.relu_(out)
