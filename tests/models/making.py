"""Networks and batches of the tests of this folder."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from fairtrial.models.resnet import ResNetV2, create_model, init_weights


def draw(name: str, seed: int = 0) -> np.random.Generator:
    return np.random.default_rng([seed, crc32(name.encode())])


def started(norm: str = "gn", weight_std: bool = True, name: str = "mini", **options) -> ResNetV2:
    model = create_model(name, 10, norm, weight_std, **options)
    init_weights(model, draw)
    return model


def awake(model: ResNetV2) -> ResNetV2:
    """With a head that is not zero, so that a gradient reaches the body."""
    weight = draw("awake").normal(0, 0.1, tuple(model.head.conv.weight.shape))
    with torch.no_grad():
        model.head.conv.weight.copy_(torch.from_numpy(weight))
    return model


def batch(images: int, side: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    generator = np.random.default_rng(7)
    x = generator.normal(size=(images, 3, side, side)).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(generator.integers(0, 10, images))


def shape_only(name: str, num_classes: int = 10, *arm) -> ResNetV2:
    with torch.device("meta"):
        return create_model(name, num_classes, *arm)


def millions(model: ResNetV2) -> float:
    return sum(parameter.numel() for parameter in model.parameters()) / 1e6


def macs(model: ResNetV2, side: int) -> float:
    """Multiply-accumulates of one image: torch's counter counts each as 2."""
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, side, side, device="meta"))
    return counter.get_total_flops() / 2
