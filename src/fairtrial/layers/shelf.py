"""Memory for the filters of a network, used again by the next pass: fresh pages cost more than filters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

_ALIGNED: Final = 16  # values: each weight begins on a line of the cache


class Shelf:
    """Blocks of memory that are lent to one forward pass each, and come back after its backward pass."""

    def __init__(self) -> None:
        self._spare: list[Tensor] = []

    def lend(self, like: Sequence[Tensor]) -> Loan:
        """Tensors of these shapes and layouts; their values are whatever they were."""
        room = sum(_room(tensor) for tensor in like)
        fits = [block for block in self._spare if len(block) == room and block.dtype == like[0].dtype]
        block = fits[0] if fits else torch.empty(room, dtype=like[0].dtype)
        self._spare = []  # of another size: the network has changed
        return Loan(self, block, like)

    def put_back(self, block: Tensor) -> None:
        """A block that nobody needs any more."""
        self._spare = [block]

    def __deepcopy__(self, memo: object) -> Shelf:
        return Shelf()

    def __reduce__(self) -> tuple[type[Shelf], tuple[()]]:
        return Shelf, ()


class Loan:
    """What was lent to one forward pass; it ends with `end`, or when autograd forgets the pass.

    A backward pass that comes after all that, by retain_graph, finds that the version of its tensors has
    moved on as soon as the memory was lent again, and is refused by autograd.
    """

    def __init__(self, shelf: Shelf, block: Tensor, like: Sequence[Tensor]) -> None:
        self._shelf, self._block = shelf, block
        torch.autograd.graph.increment_version(block)
        self.tensors, start = [], 0
        for tensor in like:
            self.tensors.append(block.as_strided(tensor.shape, tensor.stride(), start))
            start += _room(tensor)

    def end(self) -> None:
        """Give the memory back; a second call does nothing."""
        block, self._block = self._block, None
        if block is not None:
            self.tensors = []
            self._shelf.put_back(block)

    def __del__(self) -> None:
        self.end()


def is_dense(weight: Tensor) -> bool:
    """Whether each filter is one piece of memory, and the filters follow each other."""
    return weight.is_contiguous() or weight.is_contiguous(memory_format=torch.channels_last)


def _room(tensor: Tensor) -> int:
    return -(-tensor.numel() // _ALIGNED) * _ALIGNED
