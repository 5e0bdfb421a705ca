"""Small networks, and the file of one."""

from __future__ import annotations

import torch

from fairtrial.models.resnet import create_model

METADATA = {"upstream": "tiny-imagenet-32", "seed": 3, "steps": 10_000, "by": "test"}
WEIGHT = "body.block1.unit01.conv2.weight"


def mini(norm="gn", weight_std=True, classes=5, seed=0):
    torch.manual_seed(seed)
    model = create_model("mini", classes, norm, weight_std)
    with torch.no_grad():
        for value in model.parameters():
            value.add_(torch.randn(value.shape) * 0.05)
    return model
