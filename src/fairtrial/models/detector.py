"""RetinaNet on a BiT backbone: torchvision's pyramid and heads over the maps of our ResNetV2 (BiT, App. E).

BiT publishes neither this network's layout nor its size. Ours follows torchvision where the paper is silent:
P6 and P7 are made from P5, heads have four 3x3 convolutions without norms, nine anchors a place.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

import torch
from torch import Tensor, nn

from fairtrial.models.blocks import EXPANSION
from fairtrial.models.resnet import MODELS, ResNetV2, create_model
from fairtrial.models.torchvision_backbones import count_macs

CHANNELS: Final = 256  # of every level of the pyramid (Lin et al., 2017)
CLASSES: Final = 80  # of COCO
LEVELS: Final = ("P3", "P4", "P5", "P6", "P7")
SIDE: Final = 1024  # pixels, BiT App. E
PARTS: Final = ("backbone", "fpn", "class head", "box head")


class Maps(nn.Module):
    """The body of a BiT network: images (batch, 3, H, W) -> maps of 1/8, 1/16 and 1/32 of their side.

    What a block gives is a sum that no norm has seen; the last map passes the network's own final norm and
    relu. Convolutions stay standardized and norms stay as the network has them. Its linear map is left out.
    """

    def __init__(self, network: ResNetV2) -> None:
        super().__init__()
        self.network = network
        network.head.conv = nn.Identity()  # type: ignore[assignment]

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        network, maps = self.network, OrderedDict[str, Tensor]()
        with network.bank.one_pass():
            out = network.root(x)
            for number, block in enumerate(network.body, start=1):
                out = block(out)
                if number > 1:
                    maps[f"C{number + 1}"] = out
            last = next(reversed(maps))
            maps[last] = network.head.last_map(maps[last])
        return maps


class Pyramid(nn.Module):
    """Images -> the five levels of a feature pyramid, P3 to P7, each (batch, 256, ...)."""

    out_channels = CHANNELS

    def __init__(self, network: ResNetV2, width: int, blocks: int) -> None:
        super().__init__()
        from torchvision.ops import FeaturePyramidNetwork
        from torchvision.ops.feature_pyramid_network import LastLevelP6P7

        channels = [EXPANSION * width * 2**number for number in range(1, blocks)]
        self.body = Maps(network)
        self.fpn = FeaturePyramidNetwork(channels, CHANNELS, LastLevelP6P7(CHANNELS, CHANNELS))

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        levels = self.fpn(self.body(x))
        return OrderedDict(zip(LEVELS, levels.values(), strict=True))


def create_detector(name: str, classes: int = CLASSES, *, side: int = SIDE, **arm: Any) -> nn.Module:
    """torchvision's RetinaNet on the network called `name` of resnetv2.MODELS, by default with GN and WS.

    name: a network of four blocks; a mini has three, and raises ValueError. classes: COCO's 80 by default.
    side: pixels to which images in [0, 1] are resized. arm: norm, weight_std of `create_model`. Its parts are
    `backbone.body`, `backbone.fpn`, `head.classification_head` and `head.regression_head`.
    """
    with torch.device("cpu"):  # see torchvision_backbones.py: its import computes with numbers
        from torchvision.models.detection import RetinaNet

    network, spec = create_model(name, 1, **arm), MODELS[name]
    if len(spec.units) != 4:
        raise ValueError(f"{name} has {len(spec.units)} blocks; the pyramid takes a network of 4, as r50x1")
    with torch.random.fork_rng(devices=[]):  # torchvision draws from the global generator; leave it untouched
        pyramid = Pyramid(network, spec.width, len(spec.units))
        return RetinaNet(
            pyramid, classes, min_size=side, max_size=side, image_mean=[0.5] * 3, image_std=[0.5] * 3
        )


def describe(name: str, classes: int = CLASSES, side: int = SIDE, **arm: Any) -> dict[str, Any]:
    """Parameters, multiply-accumulates of one image, and shapes of the levels; from the meta device alone.

    -> {"model", "classes", "side", "levels": {"P3": (256, 128, 128), ...}, "parts": {part: {"parameters",
    "macs"}}}. A multiply-accumulate is one of a convolution, as everywhere here; see flops.py.
    """
    with torch.device("meta"):
        detector: Any = create_detector(name, classes, side=side, **arm)
        pyramid, head = detector.backbone, detector.head
        shapes: dict[str, list[int]] = {}

        def run() -> None:
            levels = pyramid(torch.empty(1, 3, side, side))
            shapes.update({level: list(each.shape[1:]) for level, each in levels.items()})
            head(list(levels.values()))

        macs = count_macs(detector, run)
    modules = dict(
        zip(PARTS, (pyramid.body, pyramid.fpn, head.classification_head, head.regression_head), strict=True)
    )
    names = {id(module): layer for layer, module in detector.named_modules()}
    parts = {}
    for part, module in modules.items():
        inside = f"{names[id(module)]}."
        parts[part] = {
            "parameters": sum(each.numel() for each in module.parameters()),
            "macs": sum(count for layer, count in macs.items() if layer.startswith(inside)),
        }
    return {"model": name, "classes": classes, "side": side, "levels": shapes, "parts": parts}
