"""The table of normalizations: what each one does, and which function builds its layer.

Nothing here imports torch: studies and reports read the table too. To add a norm, write its layer in
`layers/` and add one row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class NormRow:
    """What a network and a study must know of one normalization.

    builder: "module:function" that makes the layer. mixes_batch: the output of an image depends on its
    neighbours in the batch. running_statistics: evaluation uses statistics kept from training. activates:
    the relu that follows is part of the layer. over_pixels: each statistic is over the pixels of one channel
    of one image, so a map of one pixel has a single value per statistic.
    """

    builder: str
    mixes_batch: bool = False
    running_statistics: bool = False
    activates: bool = False
    over_pixels: bool = False


# Norms that our own kernels compute on a GPU.
GROUPED: Final = ("gn", "ln", "in")
NORM_TABLE: Final[dict[str, NormRow]] = {
    "bn": NormRow("fairtrial.layers.batch_norm:batch_norm", mixes_batch=True, running_statistics=True),
    "gn": NormRow("fairtrial.layers.group_norm:group_norm"),
    "ln": NormRow("fairtrial.layers.group_norm:layer_norm"),
    "in": NormRow("fairtrial.layers.group_norm:instance_norm", over_pixels=True),
    "none": NormRow("fairtrial.layers.group_norm:no_norm"),
    "frn": NormRow("fairtrial.layers.frn:filter_response_norm", activates=True, over_pixels=True),
    "evonorm_s0": NormRow("fairtrial.layers.evonorm:evonorm_s0", activates=True),
}
