"""The forward and backward pass of a batch as a CUDA graph: one call of the host instead of thousands.

A step of R50x1 is a thousand kernels and more. Where Python takes longer to launch them than the GPU to run
them, arms would be compared by how they are written, and not by what they cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import torch
from torch import Tensor, nn

from fairtrial.errors import out_of_memory

Passes = Callable[[Tensor, Tensor], Tensor]  # images, targets -> mean loss, gradients left in `grad`
Out = TypeVar("Out")
WARM_UP: Final = 3  # passes before the capture: they build kernels, workspaces and handles


class Replay:
    """Loss and gradients of batches of one shape, as those of a cell are; each call overwrites them."""

    def __init__(self, model: nn.Module, passes: Passes, x: Tensor, y: Tensor) -> None:
        self._x, self._y = x.clone(), y.clone()
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._forget()
        self._graph, self._loss = captured(lambda: passes(self._x, self._y), model, self._forget)
        self._gradients = [parameter.grad for parameter in self._parameters]
        self._forget()

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """The mean loss of a batch; it is overwritten by the next call, and so are the gradients."""
        self._x.copy_(x)
        self._y.copy_(y)
        self._graph.replay()
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient
        return self._loss

    def _forget(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None


def captured(
    call: Callable[[], Out], model: nn.Module, forget: Callable[[], None] = lambda: None
) -> tuple[torch.cuda.CUDAGraph, Out]:
    """(graph, what the call returns): the call's kernels, for replay on the tensors that it used.

    The graph knows those tensors by address: they must outlive it. Runs the call a few times; the buffers of
    the model, such as BN's running statistics, are put back.
    forget: drops what a run leaves behind, before the next.
    """
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside), kept(model):
        for _ in range(WARM_UP):
            call()
            forget()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = call()
    return graph, out


@contextmanager
def kept(model: nn.Module) -> Iterator[None]:
    """The buffers of the model are afterwards what they were, also when memory ran out inside."""
    before = [buffer.clone() for buffer in model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(model.buffers(), before, strict=True):
                buffer.copy_(value)


def replay_of(model: nn.Module, passes: Passes, x: Tensor, y: Tensor) -> tuple[Replay | None, str | None]:
    """(the passes of this network as a graph, None), or (None, why there is none)."""
    try:
        return Replay(model, passes, x, y), None
    except Exception as error:  # without a graph every step still runs, and says what is wrong with it
        torch.cuda.synchronize()
        for parameter in model.parameters():
            parameter.grad = None
        torch.cuda.empty_cache()
        reason = "memory does not hold it" if out_of_memory(error) else str(error).splitlines()[0]
        return None, f"no CUDA graph: {reason}"
