"""The table of normalizations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import nn

from fairtrial.layers.batch_norm import BatchNorm2d
from fairtrial.layers.evonorm import EvoNormS0
from fairtrial.layers.frn import FilterResponseNorm
from fairtrial.layers.group_norm import GroupNorm


class Build(Protocol):
    """Makes the layer for so many channels; a row uses of `groups` and `stat_batch` what concerns it."""

    def __call__(self, channels: int, *, groups: int = 32, stat_batch: int | None = None) -> nn.Module: ...


@dataclass(frozen=True)
class Norm:
    """A row of the table: how to build the layer, and what a network must know of it.

    mixes_batch: an image's output depends on its neighbours. activates: the relu that follows is part of it.
    """

    build: Build
    mixes_batch: bool
    activates: bool = False


def batch_norm(channels: int, *, groups: int = 32, stat_batch: int | None = None) -> nn.Module:
    return BatchNorm2d(channels, stat_batch)


def group_norm(channels: int, *, groups: int = 32, stat_batch: int | None = None) -> nn.Module:
    return GroupNorm(groups, channels)


def layer_norm(channels: int, *, groups: int = 32, stat_batch: int | None = None) -> nn.Module:
    return GroupNorm(1, channels)


def instance_norm(channels: int, *, groups: int = 32, stat_batch: int | None = None) -> nn.Module:
    return GroupNorm(channels, channels)


def no_norm(channels: int, *, groups: int = 32, stat_batch: int | None = None) -> nn.Module:
    return nn.Identity()


def filter_response_norm(channels: int, *, groups: int = 32, stat_batch: int | None = None) -> nn.Module:
    return FilterResponseNorm(channels)


def evonorm_s0(channels: int, *, groups: int = 32, stat_batch: int | None = None) -> nn.Module:
    return EvoNormS0(groups, channels)


NORMS: dict[str, Norm] = {
    "bn": Norm(batch_norm, mixes_batch=True),
    "gn": Norm(group_norm, mixes_batch=False),
    "ln": Norm(layer_norm, mixes_batch=False),
    "in": Norm(instance_norm, mixes_batch=False),
    "none": Norm(no_norm, mixes_batch=False),
    "frn": Norm(filter_response_norm, mixes_batch=False, activates=True),
    "evonorm_s0": Norm(evonorm_s0, mixes_batch=False, activates=True),
}
