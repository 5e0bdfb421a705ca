"""The layers of the table of normalizations (norm_table.py)."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from torch import nn

from fairtrial.norm_table import NORM_TABLE, NormRow


class Build(Protocol):
    """Makes the layer for so many channels; a norm uses of `groups` and `stat_batch` what concerns it."""

    def __call__(self, channels: int, *, groups: int = 32, stat_batch: int | None = None) -> nn.Module: ...


@dataclass(frozen=True)
class Norm:
    """A row of the table with its function: how to build the layer, and what a network must know of it.

    mixes_batch: an image's output depends on its neighbours. activates: the relu that follows is part of it.
    """

    build: Build
    mixes_batch: bool
    activates: bool = False

    @classmethod
    def of(cls, row: NormRow) -> Norm:
        """Import the function that a row names."""
        module, _, function = row.builder.partition(":")
        return cls(getattr(import_module(module), function), row.mixes_batch, row.activates)


NORMS: dict[str, Norm] = {name: Norm.of(row) for name, row in NORM_TABLE.items()}
