"""Convolutions with standardized filters, and the table of them."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Final

import torch
from torch import Tensor, nn

from fairtrial.kernels.standardization import BIT, Definition, standardize_all

# 1 / standard deviation of relu(z) for z standard normal (Brock et al., 2021). The official code has 1.71396.
RELU_GAIN: Final = math.sqrt(2 / (1 - 1 / math.pi))  # 1.71286


class StdConv2d(nn.Conv2d):
    """Convolution that standardizes its filters at each forward pass (Qiao et al., 2019).

    kernels: a row of `dispatch.KERNELS`. A network makes the filters of all layers at once (filter_bank.py);
    a layer on its own makes its own.
    """

    definition: Definition = BIT  # as the official BiT weights expect
    kernels: str = "fastest"
    convolves_made: ClassVar[bool] = (
        True  # as they are made: they may be made in the dtype of the convolution
    )
    made: Tensor | None = None  # filters that were made with those of the whole network

    def forward(self, x: Tensor) -> Tensor:
        made = self.made
        if made is None:
            (made,) = standardize_all([self.weight], self.definition, self.kernels)
        return self._conv_forward(x, self.finished(made), self.bias)

    def finished(self, made: Tensor) -> Tensor:
        """What the convolution takes, from the standardized filters."""
        return made


class ScaledStdConv2d(StdConv2d):
    """Scaled weight standardization with a learned gain, for networks without norms (Brock et al., 2021).

    Standardized filters that keep the variance of a relu's output: times RELU_GAIN / sqrt(fan-in), times the
    gain. The filters alone: the factors alpha and beta of the residual branch in that paper are not part of
    it. The official code takes max(fan-in * variance, 1e-4) in place of eps, equal but for constant filters.
    """

    convolves_made = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.gain = nn.Parameter(torch.ones(self.out_channels))

    def finished(self, made: Tensor) -> Tensor:
        scale = self.gain * (RELU_GAIN / math.sqrt(self.weight[0].numel()))
        return made * scale.view(-1, 1, 1, 1)


CONVS: dict[bool | str, type[nn.Conv2d]] = {False: nn.Conv2d, True: StdConv2d, "scaled": ScaledStdConv2d}
