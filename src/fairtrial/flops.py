"""What a training step costs in counted operations."""

from __future__ import annotations

from functools import cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from fairtrial.resnetv2 import create_model


@cache
def flops_of_step(model: str, batch_size: int, resolution: int, classes: int) -> int:
    """Forward and backward of one step: convolutions and matrix products, a multiply-accumulate counting 2.

    Counted on the meta device by torch's own counter, without normalization: equal for all norms by
    definition, so a budget in flops is blind to the price of a norm.
    """
    with torch.device("meta"):
        network = create_model(model, classes, "none", False)
        images = torch.empty(batch_size, 3, resolution, resolution)
        with FlopCounterMode(display=False) as counter:
            network(images).sum().backward()
    return int(counter.get_total_flops())
