"""The tables of normalizations and of residual units: what each does, and which function builds it.

Nothing here imports torch: studies and reports read the tables too. To add a norm, write its layer in
`layers/` and add one row; a plug-in adds its own (plugins/registry.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final


def named_by(builder: str) -> Any:
    """Return what "module:function" names; a plug-in is executed here."""
    module, _, function = builder.partition(":")
    return getattr(import_module(module), function)


@dataclass(frozen=True)
class NormRow:
    """What a network and a study must know of one normalization.

    builder: "module:function" that makes the layer. mixes_batch: the output of an image depends on its
    neighbours in the batch. running_statistics: evaluation uses statistics kept from training. activates:
    the relu that follows is part of the layer. over_pixels: each statistic is over the pixels of one channel
    of one image, so a map of one pixel has a single value per statistic. relu_in_place: the relu that follows
    may overwrite what the layer returns. takes_groups: the setting `groups` says how many groups it has.
    """

    builder: str
    mixes_batch: bool = False
    running_statistics: bool = False
    activates: bool = False
    over_pixels: bool = False
    relu_in_place: bool = True
    takes_groups: bool = False


@dataclass(frozen=True)
class BlockRow:
    """What a network and a study must know of one kind of residual unit.

    builder: "module:class" of (cin, cmid, stride, parts). preactivated: norm and relu come before each
    convolution, so that a norm and a relu follow the last unit.
    """

    builder: str
    preactivated: bool = True


# Norms that our own kernels compute: on a GPU, and on a CPU where `kernels` is "fused".
GROUPED: Final = ("gn", "ln", "in")
NORM_TABLE: Final[dict[str, NormRow]] = {
    "bn": NormRow("fairtrial.layers.batch_norm:batch_norm", mixes_batch=True, running_statistics=True),
    "gn": NormRow("fairtrial.layers.group_norm:group_norm", takes_groups=True),
    "ln": NormRow("fairtrial.layers.group_norm:layer_norm"),
    "in": NormRow("fairtrial.layers.group_norm:instance_norm", over_pixels=True),
    "none": NormRow("fairtrial.layers.group_norm:no_norm"),
    "frn": NormRow("fairtrial.layers.frn:filter_response_norm", activates=True, over_pixels=True),
    "evonorm_s0": NormRow("fairtrial.layers.evonorm:evonorm_s0", activates=True),
}
# BiT's units, and those of ResNet v1 (He et al., 2015).
BLOCK_TABLE: Final[dict[str, BlockRow]] = {
    "pre-activation": BlockRow("fairtrial.models.blocks:PreUnit"),
    "post-activation": BlockRow("fairtrial.models.blocks:PostUnit", preactivated=False),
}
