"""Group normalization; layer and instance normalization are its two ends."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fairtrial.kernels.cpu_norm import fuses, normalized
from fairtrial.kernels.dispatch import FASTEST, OURS, own_kernels


class GroupNorm(nn.GroupNorm):
    """GN with eps 1e-5 and an affine map, without the checks of F.group_norm: 3 % of a step of 4 images.

    kernels: a row of `dispatch.KERNELS`.
    """

    kernels: str = FASTEST

    def __init__(self, groups: int, channels: int) -> None:
        super().__init__(groups, channels)
        self.channels_per_group = channels // groups

    def forward(self, x: Tensor, relu: bool = False) -> Tensor:
        """relu: cut the result at zero, which our kernels do in the same pass."""
        if self.channels_per_group * x.shape[2] * x.shape[3] == 1:
            raise ValueError(
                "each group holds one value (1 channel of 1x1), so its norm is zero whatever the image. "
                "Use larger images, fewer groups (gn, ln) or bn."
            )
        if x.is_cuda and self._own(x):
            from fairtrial.kernels.triton_group_norm import group_norm_relu

            return group_norm_relu(x, self.num_groups, self.weight, self.bias, self.eps, relu)
        if fuses(self.kernels, x):
            return normalized(x, self.num_groups, self.weight, self.bias, self.eps, relu)[0]
        out = torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
        return torch.relu_(out) if relu else out

    def _own(self, x: Tensor) -> bool:
        return self.kernels in OURS and x.dtype != torch.float64 and own_kernels(x.device) is not None


def group_norm(channels: int, *, groups: int = 32, stat_batch: int | None = None) -> nn.Module:
    """Build the layer of `norm="gn"`."""
    return GroupNorm(groups, channels)


def layer_norm(channels: int, *, groups: int = 32, stat_batch: int | None = None) -> nn.Module:
    """Build the layer of `norm="ln"`: all channels are one group."""
    return GroupNorm(1, channels)


def instance_norm(channels: int, *, groups: int = 32, stat_batch: int | None = None) -> nn.Module:
    """Build the layer of `norm="in"`: each channel is a group."""
    return GroupNorm(channels, channels)


def no_norm(channels: int, *, groups: int = 32, stat_batch: int | None = None) -> nn.Module:
    """Build the layer of `norm="none"`, which passes its input on."""
    return nn.Identity()
