"""The networks of torchvision, timm and plug-ins that serve as arms: what is known of each without torch.

They come as published, norm and all; the norm of an arm is a factor of our own networks alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "torchvision:"
TIMM: Final = "timm:"
BASE: Final = "https://download.pytorch.org/models/"


@dataclass(frozen=True)
class BackboneSpec:
    """One network.

    norm, weight_std: as in norm_table and settings; None where only the built network says it (timm).
    smallest_side: pixels of the smallest image that passes, measured (test); the only side where `fixed`.
    side_alone: the same for a training batch of one image, where BN needs two values of each channel.
    last_stage: the first module after the last map of 1/16 of the image's side; of a ViT, which has one map,
    its last quarter of blocks, and behind its last pooling in a network that ends at 1/16.
    weights: torchvision's name of the published ones; file: theirs, which ends in digits of its sha256.
    mean, std: of images in [0, 1] that these weights expect. builder: "module:function" of a plug-in, which
    makes the network.
    """

    norm: str | None = None
    smallest_side: int = 1
    side_alone: int = 1
    last_stage: str = ""
    weights: str = ""
    file: str = ""
    fixed: bool = False
    weight_std: bool | str | None = False
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    builder: str = ""

    @property
    def sides(self) -> str:
        """The images that it takes, in words."""
        return f"{self.smallest_side}x{self.smallest_side} {'alone' if self.fixed else 'or more'}"

    @property
    def url(self) -> str:
        return f"{BASE}{self.file}"

    @property
    def digits(self) -> str:
        """The first 8 or 10 hexadecimal digits of the file's sha256."""
        return self.file.removesuffix(".pth").rpartition("-")[2]


_V1: Final = "IMAGENET1K_V1"
_V2: Final = "IMAGENET1K_V2"  # the later recipe of github.com/pytorch/vision/issues/3995

_SWAG: Final = "IMAGENET1K_SWAG_E2E_V1"  # fine-tuned end to end; CC-BY-NC 4.0
_HALF: Final = (0.5, 0.5, 0.5)

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
    "alexnet": BackboneSpec("none", 63, 63, "features.6", _V1, "alexnet-owt-7be5be79.pth"),
    "convnext_base": BackboneSpec("ln", 32, 32, "features.6", _V1, "convnext_base-6075fbad.pth"),
    "convnext_large": BackboneSpec("ln", 32, 32, "features.6", _V1, "convnext_large-ea097f82.pth"),
    "convnext_small": BackboneSpec("ln", 32, 32, "features.6", _V1, "convnext_small-0c510722.pth"),
    "densenet161": BackboneSpec("bn", 29, 61, "features.transition3", _V1, "densenet161-8d451a50.pth"),
    "densenet169": BackboneSpec("bn", 29, 61, "features.transition3", _V1, "densenet169-b2777c0a.pth"),
    "densenet201": BackboneSpec("bn", 29, 61, "features.transition3", _V1, "densenet201-c1103571.pth"),
    "efficientnet_b1": BackboneSpec("bn", 1, 33, "features.6", _V2, "efficientnet_b1-c27df63c.pth"),
    "efficientnet_b2": BackboneSpec("bn", 1, 33, "features.6", _V1, "efficientnet_b2_rwightman-c35c1473.pth"),
    "efficientnet_b3": BackboneSpec("bn", 1, 33, "features.6", _V1, "efficientnet_b3_rwightman-b3899882.pth"),
    "efficientnet_b4": BackboneSpec("bn", 1, 33, "features.6", _V1, "efficientnet_b4_rwightman-23ab8bcd.pth"),
    "efficientnet_b5": BackboneSpec("bn", 1, 33, "features.6", _V1, "efficientnet_b5_lukemelas-1a07897c.pth"),
    "efficientnet_b6": BackboneSpec("bn", 1, 33, "features.6", _V1, "efficientnet_b6_lukemelas-24a108a5.pth"),
    "efficientnet_b7": BackboneSpec("bn", 1, 33, "features.6", _V1, "efficientnet_b7_lukemelas-c5b4e57e.pth"),
    "efficientnet_v2_l": BackboneSpec(
        "bn", 1, 33, "features.6", _V1, "efficientnet_v2_l-59c71312.pth", mean=_HALF, std=_HALF
    ),
    "efficientnet_v2_m": BackboneSpec("bn", 1, 33, "features.6", _V1, "efficientnet_v2_m-dc08266a.pth"),
    "efficientnet_v2_s": BackboneSpec("bn", 1, 33, "features.6", _V1, "efficientnet_v2_s-dd5fe13b.pth"),
    "googlenet": BackboneSpec("bn", 15, 47, "maxpool4", _V1, "googlenet-1378be20.pth"),
    "maxvit_t": BackboneSpec("bn", 224, 224, "blocks.3", _V1, "maxvit_t-bc5ab103.pth", fixed=True),
    "mnasnet0_5": BackboneSpec("bn", 1, 33, "layers.12", _V1, "mnasnet0.5_top1_67.823-3ffadce67e.pth"),
    "mnasnet0_75": BackboneSpec("bn", 1, 33, "layers.12", _V1, "mnasnet0_75-7090bc5f.pth"),
    "mnasnet1_0": BackboneSpec("bn", 1, 33, "layers.12", _V1, "mnasnet1.0_top1_73.512-f206786ef8.pth"),
    "mnasnet1_3": BackboneSpec("bn", 1, 33, "layers.12", _V1, "mnasnet1_3-a4c69d6f.pth"),
    "regnet_x_16gf": BackboneSpec("bn", 1, 33, "trunk_output.block4", _V2, "regnet_x_16gf-ba3796d7.pth"),
    "regnet_x_1_6gf": BackboneSpec("bn", 1, 33, "trunk_output.block4", _V2, "regnet_x_1_6gf-a12f2b72.pth"),
    "regnet_x_32gf": BackboneSpec("bn", 1, 33, "trunk_output.block4", _V2, "regnet_x_32gf-6eb8fdc6.pth"),
    "regnet_x_3_2gf": BackboneSpec("bn", 1, 33, "trunk_output.block4", _V2, "regnet_x_3_2gf-7071aa85.pth"),
    "regnet_x_400mf": BackboneSpec("bn", 1, 33, "trunk_output.block4", _V2, "regnet_x_400mf-62229a5f.pth"),
    "regnet_x_800mf": BackboneSpec("bn", 1, 33, "trunk_output.block4", _V2, "regnet_x_800mf-94a99ebd.pth"),
    "regnet_x_8gf": BackboneSpec("bn", 1, 33, "trunk_output.block4", _V2, "regnet_x_8gf-2b70d774.pth"),
    "regnet_y_128gf": BackboneSpec(
        "bn", 1, 33, "trunk_output.block4", _SWAG, "regnet_y_128gf_swag-c8ce3e52.pth"
    ),
    "regnet_y_16gf": BackboneSpec("bn", 1, 33, "trunk_output.block4", _V2, "regnet_y_16gf-3e4a00f9.pth"),
    "regnet_y_1_6gf": BackboneSpec("bn", 1, 33, "trunk_output.block4", _V2, "regnet_y_1_6gf-0d7bc02a.pth"),
    "regnet_y_32gf": BackboneSpec("bn", 1, 33, "trunk_output.block4", _V2, "regnet_y_32gf-8db6d4b5.pth"),
    "regnet_y_3_2gf": BackboneSpec("bn", 1, 33, "trunk_output.block4", _V2, "regnet_y_3_2gf-9180c971.pth"),
    "regnet_y_400mf": BackboneSpec("bn", 1, 33, "trunk_output.block4", _V2, "regnet_y_400mf-e6988f5f.pth"),
    "regnet_y_800mf": BackboneSpec("bn", 1, 33, "trunk_output.block4", _V2, "regnet_y_800mf-58fc7688.pth"),
    "regnet_y_8gf": BackboneSpec("bn", 1, 33, "trunk_output.block4", _V2, "regnet_y_8gf-dc2b1b54.pth"),
    "resnext101_32x8d": BackboneSpec("bn", 1, 33, "layer4", _V2, "resnext101_32x8d-110c445d.pth"),
    "resnext101_64x4d": BackboneSpec("bn", 1, 33, "layer4", _V1, "resnext101_64x4d-173b62eb.pth"),
    "shufflenet_v2_x0_5": BackboneSpec("bn", 1, 33, "stage4", _V1, "shufflenetv2_x0.5-f707e7126e.pth"),
    "shufflenet_v2_x1_0": BackboneSpec("bn", 1, 33, "stage4", _V1, "shufflenetv2_x1-5666bf0f80.pth"),
    "shufflenet_v2_x1_5": BackboneSpec("bn", 1, 33, "stage4", _V1, "shufflenetv2_x1_5-3c479a10.pth"),
    "shufflenet_v2_x2_0": BackboneSpec("bn", 1, 33, "stage4", _V1, "shufflenetv2_x2_0-8be3c8ee.pth"),
    "squeezenet1_0": BackboneSpec("none", 21, 21, "features.12", _V1, "squeezenet1_0-b66bff10.pth"),
    "squeezenet1_1": BackboneSpec("none", 17, 17, "features.9", _V1, "squeezenet1_1-b8a52dc0.pth"),
    "swin_b": BackboneSpec("ln", 4, 4, "features.6", _V1, "swin_b-68c6b09e.pth"),
    "swin_s": BackboneSpec("ln", 4, 4, "features.6", _V1, "swin_s-5e29d889.pth"),
    "swin_t": BackboneSpec("ln", 4, 4, "features.6", _V1, "swin_t-704ceda3.pth"),
    "swin_v2_b": BackboneSpec("ln", 4, 4, "features.6", _V1, "swin_v2_b-781e5279.pth"),
    "swin_v2_s": BackboneSpec("ln", 4, 4, "features.6", _V1, "swin_v2_s-637d8ceb.pth"),
    "swin_v2_t": BackboneSpec("ln", 4, 4, "features.6", _V1, "swin_v2_t-b137f0e2.pth"),
    "vgg11": BackboneSpec("none", 32, 32, "features.16", _V1, "vgg11-8a719046.pth"),
    "vgg11_bn": BackboneSpec("bn", 32, 32, "features.22", _V1, "vgg11_bn-6002323d.pth"),
    "vgg13": BackboneSpec("none", 32, 32, "features.20", _V1, "vgg13-19584684.pth"),
    "vgg13_bn": BackboneSpec("bn", 32, 32, "features.28", _V1, "vgg13_bn-abd245e5.pth"),
    "vgg19": BackboneSpec("none", 32, 32, "features.28", _V1, "vgg19-dcbb9e9d.pth"),
    "vgg19_bn": BackboneSpec("bn", 32, 32, "features.40", _V1, "vgg19_bn-c79401a0.pth"),
    "vit_b_16": BackboneSpec(
        "ln", 224, 224, "encoder.layers.encoder_layer_9", _V1, "vit_b_16-c867db91.pth", fixed=True
    ),
    "vit_b_32": BackboneSpec(
        "ln", 224, 224, "encoder.layers.encoder_layer_9", _V1, "vit_b_32-d86f8d99.pth", fixed=True
    ),
    "vit_h_14": BackboneSpec(
        "ln", 518, 518, "encoder.layers.encoder_layer_24", _SWAG, "vit_h_14_swag-80465313.pth", fixed=True
    ),
    "vit_l_16": BackboneSpec(
        "ln", 224, 224, "encoder.layers.encoder_layer_18", _V1, "vit_l_16-852ce7e3.pth", fixed=True
    ),
    "vit_l_32": BackboneSpec(
        "ln", 224, 224, "encoder.layers.encoder_layer_18", _V1, "vit_l_32-c7638314.pth", fixed=True
    ),
    "wide_resnet101_2": BackboneSpec("bn", 1, 33, "layer4", _V2, "wide_resnet101_2-d733dc28.pth"),
}

BACKBONES: Final[dict[str, BackboneSpec]] = {f"{PREFIX}{name}": row for name, row in _ROWS.items()}


_TIMM_NAME: Final = re.compile(r"timm:[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?")
_OF_TIMM: Final = BackboneSpec(weight_std=None)


def backbone(name: str) -> BackboneSpec | None:
    """The row of "torchvision:resnet50", or what can be said of "timm:resnet50.a1_in1k"; None of others."""
    if isinstance(name, str) and _TIMM_NAME.fullmatch(name):
        return _OF_TIMM
    return BACKBONES.get(name)
