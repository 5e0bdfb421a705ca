"""Filter response normalization with its thresholded linear unit."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def filter_response(x: Tensor, eps: float) -> Tensor:
    """Each channel of each image divided by its root mean square; no mean is taken off.

    x: (batch, channels, height, width) -> same shape. eps stands inside the root.
    """
    return x * torch.rsqrt(x.square().mean((2, 3), keepdim=True) + eps)


class FilterResponseNorm(nn.Module):
    """FRN + TLU, in place of norm and relu: max(scale * x / rms(x) + shift, threshold).

    Singh and Krishnan, 2020. eps is fixed, as in the paper, which learns it for maps of one pixel; here those
    are refused.
    """

    eps = 1e-6

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))
        self.threshold = nn.Parameter(torch.empty(channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)
        nn.init.zeros_(self.threshold)  # relu, at the start

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] * x.shape[3] == 1:
            raise ValueError(
                "each channel holds one pixel, and FRN leaves only its sign. "
                "Use larger images, or a norm over several channels (gn, ln)."
            )
        weight, bias, threshold = (each.view(-1, 1, 1) for each in (self.weight, self.bias, self.threshold))
        return torch.maximum(torch.addcmul(bias, filter_response(x, self.eps), weight), threshold)

    def extra_repr(self) -> str:
        return f"{len(self.weight)}, eps={self.eps}"


def filter_response_norm(channels: int, *, groups: int = 32, stat_batch: int | None = None) -> nn.Module:
    """Build the layer of `norm="frn"`."""
    return FilterResponseNorm(channels)
