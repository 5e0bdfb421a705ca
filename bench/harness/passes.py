"""What is timed: passes through a layer or a network, each a call that waits until its work is done."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairtrial.layers import made_once
from fairtrial.training.cuda_graph import captured
from fairtrial.training.precision import precision

LAYOUTS = {"nchw": torch.contiguous_format, "nhwc": torch.channels_last}


def synchronize(device: str | torch.device) -> None:
    """Wait until the device has done what it was given, so that a reading of the clock means something."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def waiting(
    call: Callable[[], object], device: str | torch.device, model: nn.Module | None = None
) -> Callable[[], None]:
    """The call and the wait for its work; on a GPU it is replayed from a CUDA graph, as in a cell.

    model: whose buffers the runs before the capture must not change.
    """
    if torch.device(device).type != "cuda":
        return call
    graph, _ = captured(call, nn.Module() if model is None else model)

    def replay() -> None:
        graph.replay()
        torch.cuda.synchronize(device)

    replay.reads = call  # its tensors, which the graph knows by address alone
    return replay


def forward(layer: nn.Module, x: Tensor) -> Callable[[], None]:
    """A call of the layer, as in evaluation."""

    @torch.no_grad()
    def call() -> None:
        layer(x)

    return waiting(call, x.device, layer)


def forward_backward(layer: nn.Module, x: Tensor) -> Callable[[], None]:
    """A call of the layer, then the gradients of its parameters and of x."""
    x = x.detach().requires_grad_()  # a leaf of its own: layers that are raced share their images
    upstream = torch.ones_like(layer(x))

    def call() -> None:
        layer(x).backward(upstream)
        x.grad = None
        layer.zero_grad(set_to_none=True)

    return waiting(call, x.device, layer)


PASSES = {"forward": forward, "forward_backward": forward_backward}


def pictures(
    batch_size: int, side: int, device: str | torch.device, memory_format: torch.memory_format
) -> tuple[Tensor, Tensor]:
    """A batch of noise and its labels of 10 classes."""
    images = torch.rand(batch_size, 3, side, side, device=device).contiguous(memory_format=memory_format)
    return images, torch.arange(batch_size, device=device) % 10


def training_pass(
    model: nn.Module,
    batch_size: int,
    image_size: int,
    *,
    micro_batches: int = 1,
    device: str | torch.device = "cpu",
    memory_format: torch.memory_format = torch.contiguous_format,
    numbers: str = "fp32",
) -> Callable[[], None]:
    """A call that runs forward, cross entropy and backward of `model`: a step without its update.

    numbers: fp32, or bf16 as in a cell of that precision. micro_batches: so many of them, of `batch_size`
    images each, are one step; filters are made once for all.
    """
    model = model.to(device, memory_format=memory_format).train()
    images, labels = pictures(batch_size, image_size, device, memory_format)

    def once() -> None:
        F.cross_entropy(model(images), labels).backward()

    def several() -> None:
        with made_once(model):
            for _ in range(micro_batches):
                once()

    def step() -> None:
        with precision(numbers, torch.device(device)):
            once() if micro_batches == 1 else several()
        model.zero_grad(set_to_none=True)

    return waiting(step, device, model)


def evaluation(
    model: nn.Module,
    batch_size: int,
    image_size: int,
    batches: int,
    *,
    device: str | torch.device = "cpu",
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Callable[[], None]:
    """A call that evaluates so many batches; the standardization is folded into the filters."""
    model = model.to(device, memory_format=memory_format).eval()
    images, _ = pictures(batch_size, image_size, device, memory_format)

    @torch.no_grad()
    def call() -> None:
        with made_once(model):
            for _ in range(batches):
                model(images)

    return waiting(call, device, model)
