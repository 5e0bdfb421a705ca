"""Convolutions with standardized filters, and the table of them."""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor, nn

# 1 / standard deviation of relu(z) for z standard normal (Brock et al., 2021). The official code has 1.71396.
RELU_GAIN: Final = math.sqrt(2 / (1 - 1 / math.pi))  # 1.71286


def standardize(weight: Tensor, eps: float) -> Tensor:
    """Zero mean and unit variance for each output filter: the plain formula.

    weight: (out, in, kh, kw) -> same shape. The variance is the population's; eps stands inside the root.
    """
    var, mean = torch.var_mean(weight, dim=(1, 2, 3), keepdim=True, correction=0)
    return (weight - mean) * torch.rsqrt(var + eps)


def standardize_fused(weight: Tensor, eps: float) -> Tensor:
    """The same in one kernel forward and one backward: layer normalization without scale and shift.

    weight: (out, in, kh, kw) -> same shape. Five times faster than the plain formula on the filters of mini.
    """
    return torch.layer_norm(weight, weight.shape[1:], eps=eps)


class StdConv2d(nn.Conv2d):
    """Convolution that standardizes its filters at each forward pass (Qiao et al., 2019)."""

    eps = 1e-10  # as the official BiT weights expect; inside the root

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, standardize_fused(self.weight, self.eps), self.bias)


def standardize_scaled(weight: Tensor, gain: Tensor, eps: float) -> Tensor:
    """Standardized filters that keep the variance of a relu's output: RELU_GAIN / sqrt(fan-in), times a gain.

    weight: (out, in, kh, kw), gain: (out,) -> the shape of weight.
    """
    scale = gain * (RELU_GAIN / math.sqrt(weight[0].numel()))
    return standardize_fused(weight, eps) * scale.view(-1, 1, 1, 1)


class ScaledStdConv2d(nn.Conv2d):
    """Scaled weight standardization with a learned gain, for networks without norms (Brock et al., 2021).

    The filters alone: the factors alpha and beta of the residual branch in that paper are not part of it. The
    official code takes max(fan-in * variance, 1e-4) in place of eps, equal but for filters that are constant.
    """

    eps = StdConv2d.eps

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.gain = nn.Parameter(torch.ones(self.out_channels))

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, standardize_scaled(self.weight, self.gain, self.eps), self.bias)


CONVS: dict[bool | str, type[nn.Conv2d]] = {False: nn.Conv2d, True: StdConv2d, "scaled": ScaledStdConv2d}
