"""A checksum of how weights are used, which names and shapes cannot give."""

from __future__ import annotations

import numpy as np
import torch

from fairtrial.models.resnet import ResNetV2

SIDE = 64  # pixels; every network here leaves 2x2 or more of it
COUNT = 8  # features
CLOSE = 0.02  # of the largest feature: the rounding of TF32 stays far below it, a wrong layout does not


@torch.no_grad()
def probe(model: ResNetV2) -> list[float]:
    """Eight features of one fixed image, in evaluation mode; they do not depend on the head.

    A square kernel with its channels exchanged has the right shape, and other features.
    """
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, SIDE, SIDE)).astype(np.float32)
    like = model.head.conv.weight
    training = model.training
    model.eval()
    features = model.features(torch.from_numpy(image).to(like.device, like.dtype))[0].double().cpu()
    model.train(training)
    return features[:: len(features) // COUNT][:COUNT].tolist()


def same(expected: list[float], found: list[float]) -> bool:
    """Whether two probes are of the same weights in the same layout."""
    return np.allclose(found, expected, rtol=0, atol=CLOSE * np.abs(expected).max())
