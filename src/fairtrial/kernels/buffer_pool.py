"""Memory for the filters of a network, used again by the next pass: fresh pages cost more than filters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

_ALIGNED: Final = 16  # values: each weight begins on a line of the cache


class BufferPool:
    """Blocks of memory that are lent to one forward pass each, and come back after its backward pass."""

    def __init__(self) -> None:
        self._spare: list[Tensor] = []

    def lend(self, like: Sequence[Tensor]) -> tuple[Loan, list[Tensor]]:
        """A loan, and tensors of these shapes and layouts in its memory, whose values are of no meaning."""
        room = sum(_room(tensor) for tensor in like)
        fits = [block for block in self._spare if len(block) == room and block.dtype == like[0].dtype]
        self._spare = []  # of another size: the network has changed
        if fits:
            block = fits[0]
            torch.autograd.graph.increment_version(block)
        else:
            block = torch.empty(room, dtype=like[0].dtype, device=like[0].device)
        return Loan(self, block), _cut(block, like)

    def put_back(self, block: Tensor) -> None:
        """A block that nobody needs any more. One of inference mode could not be saved by autograd later."""
        if not block.is_inference():
            self._spare = [block]

    def __deepcopy__(self, memo: object) -> BufferPool:
        return BufferPool()

    def __reduce__(self) -> tuple[type[BufferPool], tuple[()]]:
        return BufferPool, ()


class Loan:
    """What was lent to one forward pass; it ends with `end`, or when autograd forgets the pass.

    A backward pass that comes after all that, by retain_graph, finds that the version of its tensors has
    moved on as soon as the memory was lent again, and is refused by autograd. The loan does not hold the
    tensors: they hold it, through autograd, and a ring would keep a pass that is dropped without a backward.
    """

    def __init__(self, pool: BufferPool, block: Tensor) -> None:
        self._pool = pool
        self._block: Tensor | None = block

    def end(self) -> None:
        """Give the memory back; a second call does nothing."""
        block, self._block = self._block, None
        if block is not None:
            self._pool.put_back(block)

    def __del__(self) -> None:
        self.end()


def is_dense(weight: Tensor) -> bool:
    """Whether each filter is one piece of memory, and the filters follow each other."""
    return weight.is_contiguous() or weight.is_contiguous(memory_format=torch.channels_last)


def _cut(block: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    tensors, start = [], 0
    for tensor in like:
        tensors.append(block.as_strided(tensor.shape, tensor.stride(), start))
        start += _room(tensor)
    return tensors


def _room(tensor: Tensor) -> int:
    return -(-tensor.numel() // _ALIGNED) * _ALIGNED
