"""The torchvision networks that serve as baselines: what is known of each without torch.

They come as published, norm and all; the norm of an arm is a factor of our own networks alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PREFIX: Final = "torchvision:"
BASE: Final = "https://download.pytorch.org/models/"


@dataclass(frozen=True)
class BackboneSpec:
    """One network.

    norm: a name of layers.NORMS. smallest_side: pixels of the smallest image that passes, measured (test).
    side_alone: the same for a training batch of one image, where BN needs two values of each channel.
    last_stage: the first module after the last map of 1/16 of the image's side.
    weights: torchvision's name of the published ones; file: theirs, which ends in 8 digits of its sha256.
    """

    norm: str
    smallest_side: int
    side_alone: int
    last_stage: str
    weights: str
    file: str

    @property
    def url(self) -> str:
        return f"{BASE}{self.file}"

    @property
    def digits(self) -> str:
        """The first hexadecimal digits of the file's sha256."""
        return self.file.removesuffix(".pth").rpartition("-")[2]


_V1: Final = "IMAGENET1K_V1"
_V2: Final = "IMAGENET1K_V2"  # the later recipe of github.com/pytorch/vision/issues/3995

# Files and recipes are those of torchvision 0.21 to 0.29, and pinned: another file is another upstream.
_ROWS: Final = {
    "resnet18": BackboneSpec("bn", 1, 33, "layer4", _V1, "resnet18-f37072fd.pth"),
    "resnet34": BackboneSpec("bn", 1, 33, "layer4", _V1, "resnet34-b627a593.pth"),
    "resnet50": BackboneSpec("bn", 1, 33, "layer4", _V2, "resnet50-11ad3fa6.pth"),
    "resnet101": BackboneSpec("bn", 1, 33, "layer4", _V2, "resnet101-cd907fc2.pth"),
    "resnet152": BackboneSpec("bn", 1, 33, "layer4", _V2, "resnet152-f82ba261.pth"),
    "resnext50_32x4d": BackboneSpec("bn", 1, 33, "layer4", _V2, "resnext50_32x4d-1a0047aa.pth"),
    "wide_resnet50_2": BackboneSpec("bn", 1, 33, "layer4", _V2, "wide_resnet50_2-9ba9bcbe.pth"),
    "vgg16": BackboneSpec("none", 32, 32, "features.24", _V1, "vgg16-397923af.pth"),
    "vgg16_bn": BackboneSpec("bn", 32, 32, "features.34", _V1, "vgg16_bn-6c64b313.pth"),
    "inception_v3": BackboneSpec("bn", 75, 107, "Mixed_7a", _V1, "inception_v3_google-0cc3c7bd.pth"),
    "mobilenet_v2": BackboneSpec("bn", 1, 33, "features.14", _V2, "mobilenet_v2-7ebf99e0.pth"),
    "mobilenet_v3_small": BackboneSpec("bn", 1, 33, "features.9", _V1, "mobilenet_v3_small-047dcff4.pth"),
    "mobilenet_v3_large": BackboneSpec("bn", 1, 33, "features.13", _V2, "mobilenet_v3_large-5c1a4163.pth"),
    "efficientnet_b0": BackboneSpec("bn", 1, 33, "features.6", _V1, "efficientnet_b0_rwightman-7f5810bc.pth"),
    "densenet121": BackboneSpec("bn", 29, 61, "features.transition3", _V1, "densenet121-a639ec97.pth"),
    "convnext_tiny": BackboneSpec("ln", 32, 32, "features.6", _V1, "convnext_tiny-983f1562.pth"),
}

BACKBONES: Final[dict[str, BackboneSpec]] = {f"{PREFIX}{name}": row for name, row in _ROWS.items()}


def backbone(name: str) -> BackboneSpec | None:
    """The row of "torchvision:resnet50"; None for a name that is not in the table."""
    return BACKBONES.get(name)
