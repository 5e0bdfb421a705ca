"""EvoNorm-S0: a norm and an activation that were found as one formula."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def group_inverse_std(x: Tensor, groups: int, eps: float) -> Tensor:
    """1 / standard deviation of the group that each channel belongs to.

    x: (batch, channels, height, width) -> (batch, channels, 1, 1). Population variance; eps inside the root.
    """
    batch, channels = x.shape[:2]
    var = x.reshape(batch, groups, -1).var(2, correction=0)
    return torch.rsqrt(var + eps).repeat_interleave(channels // groups, 1).view(batch, channels, 1, 1)


class EvoNormS0(nn.Module):
    """scale * x * sigmoid(v * x) / std of the group + shift (Liu et al., 2020); in place of norm and relu."""

    eps = 1e-5

    def __init__(self, groups: int, channels: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))
        self.v = nn.Parameter(torch.empty(channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)
        nn.init.ones_(self.v)  # swish, at the start

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] // self.groups * x.shape[2] * x.shape[3] == 1:
            raise ValueError(
                "each group holds one value (1 channel of 1x1), so it has no variance. "
                "Use larger images or fewer groups."
            )
        weight, bias, v = (each.view(-1, 1, 1) for each in (self.weight, self.bias, self.v))
        out = x * torch.sigmoid(v * x) * group_inverse_std(x, self.groups, self.eps)
        return torch.addcmul(bias, out, weight)

    def extra_repr(self) -> str:
        return f"{self.groups}, {len(self.weight)}, eps={self.eps}"


def evonorm_s0(channels: int, *, groups: int = 32, stat_batch: int | None = None) -> nn.Module:
    """Build the layer of `norm="evonorm_s0"`."""
    return EvoNormS0(groups, channels)
