"""The convolutions of a network and nothing else: what a training step could cost at the least."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.harness.passes import synchronize
from fairtrial.models.blocks import Unit
from fairtrial.models.resnet import create_model


class BareConvolutions(nn.Module):
    """The convolutions of root and body in their order and shapes; no norm, relu, pooling, sum, WS or head.

    images -> [last feature map, the output of each projection].
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        model = create_model(name, 10, "none", weight_std=False)
        self.root = model.root.get_submodule("conv")
        self.shrink = 2 if hasattr(model.root, "pool") else 1
        self.units = [module for module in model.body.modules() if isinstance(module, Unit)]
        self.body = model.body

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.root(x)
        if self.shrink > 1:  # what pooling would leave, taken without arithmetic
            x = x[:, :, :: self.shrink, :: self.shrink]
        projections = []
        for unit in self.units:
            if unit.downsample is not None:
                projections.append(unit.downsample(x))
            x = unit.conv3(unit.conv2(unit.conv1(x)))
        return [x, *projections]


def bare_convolutions(
    name: str,
    batch_size: int,
    image_size: int,
    *,
    device: str = "cpu",
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Callable[[], None]:
    """A call that runs forward and backward of the bare convolutions of the model `name` once.

    Give `memory_format` and `device` as in the training step that it is compared with.
    """
    model = BareConvolutions(name).to(device)
    images = torch.rand(batch_size, 3, image_size, image_size, device=device).contiguous(
        memory_format=memory_format
    )
    upstream = [torch.ones_like(out) for out in model(images)]

    def step() -> None:
        torch.autograd.backward(model(images), upstream)
        model.zero_grad(set_to_none=True)
        synchronize(device)

    return step


def bare_evaluation(
    name: str, images: int, batch_size: int, image_size: int, *, memory_format: torch.memory_format
) -> Callable[[], None]:
    """A call that runs the forward pass of the bare convolutions over so many images, on a CPU."""
    model = BareConvolutions(name)
    batches = torch.rand(images, 3, image_size, image_size).split(batch_size)

    @torch.no_grad()
    def evaluation() -> None:
        for batch in batches:
            model(batch.contiguous(memory_format=memory_format))

    model.to(memory_format=memory_format)
    return evaluation
