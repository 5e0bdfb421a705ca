"""Official names and layouts <-> ours; and which network a set of shapes is.

google-research/big_transfer keeps kernels as (height, width, in, out); torch as (out, in, height, width).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import numpy as np

from fairtrial.models.resnet import MODELS

Shape = tuple[int, ...]

ROOT: Final = "resnet/root_block/standardized_conv2d/kernel"
HEAD_KERNEL: Final = "resnet/head/conv2d/kernel"
HEAD_BIAS: Final = "resnet/head/conv2d/bias"
_WHOLE: Final = {
    "root.conv.weight": ROOT,
    "head.norm.weight": "resnet/group_norm/gamma",
    "head.norm.bias": "resnet/group_norm/beta",
    "head.conv.weight": HEAD_KERNEL,
    "head.conv.bias": HEAD_BIAS,
}
_IN_UNIT: Final = {
    **{f"conv{i}.weight": f"{letter}/standardized_conv2d/kernel" for i, letter in enumerate("abc", 1)},
    **{f"norm{i}.weight": f"{letter}/group_norm/gamma" for i, letter in enumerate("abc", 1)},
    **{f"norm{i}.bias": f"{letter}/group_norm/beta" for i, letter in enumerate("abc", 1)},
    "downsample.weight": "a/proj/standardized_conv2d/kernel",
}
_UNIT: Final = re.compile(r"resnet/block(\d+)/unit(\d+)/")
_TIMM_UNIT: Final = re.compile(r"stages\.(\d{1,2})\.blocks\.(\d{1,2})\.(.+)")
_TIMM_WHOLE: Final = {"stem.conv.": "root.conv.", "norm.": "head.norm.", "head.fc.": "head.conv."}
_NUMBERED: Final = re.compile(r"/standardized_conv2d_\d+/")


def official(name: str) -> str:
    """'body.block1.unit01.norm2.bias' -> 'resnet/block1/unit01/b/group_norm/beta'."""
    if name in _WHOLE:
        return _WHOLE[name]
    _, block, unit, rest = name.split(".", 3)
    return f"resnet/{block}/{unit}/{_IN_UNIT[rest]}"


def from_timm(name: str) -> str:
    """'stages.0.blocks.1.norm2.bias' of timm's BiT -> 'body.block1.unit02.norm2.bias'; others stay."""
    if found := _TIMM_UNIT.fullmatch(name):
        block, unit, rest = found.groups()
        name = f"body.block{int(block) + 1}.unit{int(unit) + 1:02d}.{rest}"
        return name.replace("downsample.conv.", "downsample.")
    for theirs, own in _TIMM_WHOLE.items():
        if name.startswith(theirs):
            return f"{own}{name.removeprefix(theirs)}"
    return name


def plain(key: str) -> str:
    """An official name as `official` spells it: some files have standardized_conv2d_1 and the like."""
    return _NUMBERED.sub("/standardized_conv2d/", key)


def official_shape(shape: Shape) -> Shape:
    """(out, in, height, width) -> (height, width, in, out); other shapes stay."""
    return (*shape[2:], shape[1], shape[0]) if len(shape) == 4 else shape


def ours(array: np.ndarray) -> np.ndarray:
    """(height, width, in, out) -> (out, in, height, width); other arrays stay."""
    return np.ascontiguousarray(array.transpose(3, 2, 0, 1)) if array.ndim == 4 else array


def network_of(shapes: Mapping[str, Shape]) -> str | None:
    """The BiT network with these units and this width; None where there is none."""
    units: dict[str, set[str]] = {}
    for block, unit in (found.groups() for key in shapes if (found := _UNIT.match(key))):
        units.setdefault(block, set()).add(unit)
    depth = tuple(len(units[block]) for block in sorted(units))
    width = shapes.get(ROOT, (0,))[-1:]
    known = ((name, spec) for name, spec in MODELS.items() if not spec.small_images)
    return next((name for name, spec in known if (spec.units, (spec.width,)) == (depth, width)), None)


def classes_of(shapes: Mapping[str, Shape]) -> int | None:
    """The number of classes of the head."""
    bias = shapes.get(HEAD_BIAS, ())
    return bias[0] if len(bias) == 1 else None
