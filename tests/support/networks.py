"""Small networks and images for the tests of kernels."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn

from fairtrial.models.resnet import ResNetV2, create_model, init_weights


def draw(name: str) -> np.random.Generator:
    return np.random.default_rng(crc32(name.encode()))


def network(
    kernels: str = "fastest", weight_std: bool | str = True, classes: int = 4, norm: str = "gn"
) -> ResNetV2:
    """A mini whose head is not zero, so that a gradient reaches every layer."""
    model = create_model("mini", classes, norm, weight_std, kernels=kernels)
    init_weights(model, draw)
    nn.init.normal_(model.head.conv.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    return model


def images(count: int = 4, seed: int = 0) -> Tensor:
    generator = np.random.default_rng(seed)
    return torch.from_numpy(generator.normal(size=(count, 3, 16, 16)).astype(np.float32))


def gradients(model: nn.Module) -> dict[str, Tensor | None]:
    """Copies, by name."""
    return {
        name: None if value.grad is None else value.grad.clone() for name, value in model.named_parameters()
    }


def gap(found: dict[str, Tensor | None], expected: dict[str, Tensor | None]) -> float:
    """The largest difference of a gradient, relative to the largest value of that parameter's."""
    assert {name for name, value in found.items() if value is None} == {
        name for name, value in expected.items() if value is None
    }
    return max(
        float((found[name] - value).abs().max() / value.abs().max())
        for name, value in expected.items()
        if value is not None
    )
