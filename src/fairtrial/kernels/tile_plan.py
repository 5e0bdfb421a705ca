"""How the filters of a network are dealt out to the programs of one launch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

TILE = 4096  # values that one program holds in registers: 32 for each of the 128 threads of 4 warps
NARROWEST = 4  # log2 of the fewest columns of a tile
COLUMNS = 8  # of the table of tiles: see `_rows`
LOOPED, LOOPED_IN_VECTORS = 0, 1  # kinds of tile; any other is the log2 of its columns
PLACE = 64  # tensors start at multiples of this in the joint buffer: 128 bytes or more

Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Deal:
    """The tiles of a list of tensors, and where each tensor's result lies in one joint buffer.

    tiles: (programs, COLUMNS), on the device; places: first value of each tensor in the buffer of `length`.
    """

    tiles: Tensor
    places: tuple[int, ...]
    length: int
    filters: int
    widest: int


@lru_cache(maxsize=32)
def deal(shapes: Shapes, vector: int, device: torch.device) -> Deal:
    """Deal out tensors (out, ...) of these shapes, each filter a run of values.

    vector: values that a thread may read at once; 1 where an address is not a multiple of 16 bytes. A tile
    holds as many whole filters of one tensor as fit. A filter that is too long, or no multiple of `vector`
    values, is a tile alone that the program loops over.
    """
    rows: list[tuple[int, ...]] = []
    places = layout(shapes)
    filters = 0
    for tensor, shape in enumerate(shapes):
        rows += _rows(tensor, shape, vector, places[tensor], filters)
        filters += shape[0]
    tiles = torch.tensor(rows, dtype=torch.int64).reshape(-1, COLUMNS)
    widest = max([NARROWEST, *(row[6] for row in rows)])
    return Deal(tiles.to(device), places[:-1], places[-1], filters, widest)


def layout(shapes: Shapes) -> tuple[int, ...]:
    """The first value of each tensor in the joint buffer, then the length of the buffer."""
    places = [0]
    for shape in shapes:
        places.append(places[-1] + math.ceil(math.prod(shape) / PLACE) * PLACE)
    return tuple(places)


def _rows(
    tensor: int, shape: tuple[int, ...], vector: int, place: int, filters: int
) -> list[tuple[int, ...]]:
    """The tiles of one tensor: tensor, first value, filters, values of each, place, first filter, kind, 0."""
    size = math.prod(shape[1:])
    kind = _kind(size, vector)
    each = 1 if kind < NARROWEST else TILE >> kind
    return [
        (
            tensor,
            first * size,
            min(each, shape[0] - first),
            size,
            place + first * size,
            filters + first,
            kind,
            0,
        )
        for first in range(0, shape[0], each)
    ]


def _kind(size: int, vector: int) -> int:
    if vector == 1 or size % vector:
        return LOOPED
    if size > TILE:
        return LOOPED_IN_VECTORS
    return max(NARROWEST, (size - 1).bit_length())
