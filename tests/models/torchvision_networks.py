"""torchvision's networks as ours, for their tests."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import nn
from torchvision.models import get_model, get_model_weights

from fairtrial.models.timm_backbones import shaped
from fairtrial.models.torchvision_backbones import Backbone, create_backbone, init_backbone
from fairtrial.study.backbone_names import PREFIX
from tests.models.making import draw

CLASSES = 7
SMALL = f"{PREFIX}mobilenet_v3_small"
INCEPTION = f"{PREFIX}inception_v3"
GOOGLENET = f"{PREFIX}googlenet"
BATTERY = [
    f"{PREFIX}{name}"
    for name in (
        "resnet18",
        "resnext50_32x4d",
        "alexnet",
        "googlenet",
        "inception_v3",
        "squeezenet1_1",
        "mobilenet_v3_small",
        "shufflenet_v2_x0_5",
        "efficientnet_b0",
        "regnet_y_400mf",
        "densenet121",
        "convnext_tiny",
        "swin_t",
    )
]  # one of each family whose networks compute differently; the others are known by their shapes
NIGHTLY = {  # all of their layers stand in others too
    f"{PREFIX}{name}"
    for name in (
        "resnext50_32x4d",
        "alexnet",
        "inception_v3",
        "shufflenet_v2_x0_5",
        "efficientnet_b0",
        "regnet_y_400mf",
        "densenet121",
    )
}


def theirs(name: str, num_classes: int = 1000, **options) -> nn.Module:
    """The network as torchvision makes it, inception with its second head."""
    more = {"init_weights": False} if name in (INCEPTION, GOOGLENET) else {}
    bare, known = name.removeprefix(PREFIX), {"weights": None, "num_classes": num_classes}
    return shaped(lambda: get_model(bare, **known, **more, **options))


def default(name: str):
    return get_model_weights(name.removeprefix(PREFIX)).DEFAULT


def started(name: str, num_classes: int = CLASSES) -> Backbone:
    model = create_backbone(name, num_classes)
    init_backbone(model, draw)
    return model


def awake(model: Backbone) -> Backbone:
    """With a head that is not zero, so that a gradient reaches the body."""
    with torch.no_grad():
        weight = draw("awake").normal(0, 0.1, tuple(model.head.weight.shape))
        model.head.weight.copy_(torch.from_numpy(weight))
    return model


def images(count: int, side: int, seed: int = 7) -> torch.Tensor:
    x = np.random.default_rng(seed).uniform(-1, 1, (count, 3, side, side))
    return torch.from_numpy(x.astype(np.float32))


@cache
def shape_only(name: str, num_classes: int = 1000) -> Backbone:
    """The network without numbers; shared, in training mode."""
    with torch.device("meta"):
        return create_backbone(name, num_classes)
