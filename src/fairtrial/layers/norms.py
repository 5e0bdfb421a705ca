"""The layers of the table of normalizations (norm_table.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from inspect import signature
from typing import Any, Final, Protocol

from torch import nn

from fairtrial.norm_table import NORM_TABLE, NormRow, named_by


class Build(Protocol):
    """Makes the layer for so many channels; a norm uses of `groups` and `stat_batch` what concerns it."""

    def __call__(self, channels: int, *, groups: int = 32, stat_batch: int | None = None) -> nn.Module: ...


@dataclass(frozen=True)
class Norm:
    """A row of the table with its function: how to build the layer, and what a network must know of it.

    mixes_batch: an image's output depends on its neighbours. activates: the relu that follows is part of it.
    relu_in_place: that relu may overwrite the output.
    """

    build: Build
    mixes_batch: bool
    activates: bool = False
    relu_in_place: bool = True

    @classmethod
    def of(cls, row: NormRow) -> Norm:
        """Import the function that a row names."""
        build = partial(_built, named_by(row.builder))
        return cls(build, row.mixes_batch, row.activates, row.relu_in_place)


def _built(function: Callable[..., nn.Module], channels: int, **options: Any) -> nn.Module:
    """Call a builder with the options that it takes; a plug-in's may take the channels alone."""
    taken = signature(function).parameters
    return function(channels, **{name: value for name, value in options.items() if name in taken})


class _Norms(Mapping[str, Norm]):
    """The rows of NORM_TABLE with their functions; a plug-in may add a row at any time."""

    def __getitem__(self, name: str) -> Norm:
        return _norm_of(NORM_TABLE[name])

    def __iter__(self) -> Iterator[str]:
        return iter(NORM_TABLE)

    def __len__(self) -> int:
        return len(NORM_TABLE)


_norm_of = cache(Norm.of)
NORMS: Final = _Norms()
