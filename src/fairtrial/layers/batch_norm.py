"""Batch normalization that can take its statistics over fewer images than the batch holds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fairtrial.kernels.cpu_batch_norm import evaluated, fuses, trained
from fairtrial.kernels.dispatch import FASTEST


class BatchNorm2d(nn.BatchNorm2d):
    """BN; with `stat_batch`, ghost BN (Hoffer et al., 2017).

    In training, each run of `stat_batch` images of the batch has its own statistics: k * stat_batch images in
    one batch give what they give as k batches one after the other, running statistics included. Evaluation is
    plain BN. kernels: a row of `dispatch.KERNELS`.
    """

    kernels: str = FASTEST
    momentum: float
    num_batches_tracked: Tensor

    def __init__(self, channels: int, stat_batch: int | None = None) -> None:
        if stat_batch is not None and stat_batch < 1:
            raise ValueError(f"stat_batch={stat_batch}; expected at least 1 image per statistic, or None")
        super().__init__(channels)
        self.stat_batch = stat_batch

    def forward(self, x: Tensor, relu: bool = False) -> Tensor:
        """relu: cut the result at zero, which our kernels do in the same pass."""
        if not self.training:
            return self._normalize(x, relu)
        stat_batch = self._images_per_statistic(x)
        if stat_batch == x.shape[0]:
            return self._normalize(x, relu)
        return torch.cat([self._normalize(images, relu) for images in x.split(stat_batch)])

    def _images_per_statistic(self, x: Tensor) -> int:
        batch, _, height, width = x.shape
        stat_batch = self.stat_batch or batch
        if batch % stat_batch:
            raise ValueError(
                f"a batch of {batch} images does not split into groups of stat_batch={stat_batch}. "
                "Choose a batch that is a multiple of stat_batch, or drop the last batch."
            )
        if stat_batch * height * width == 1:
            raise ValueError(
                "BN in training has one value per channel (1 image of 1x1), so no variance. "
                "Use 2 or more images per statistic, larger images, or a norm of single images (gn)."
            )
        return stat_batch

    def _normalize(self, x: Tensor, relu: bool) -> Tensor:
        """What nn.BatchNorm2d does with its default settings, by the shortest way."""
        if fuses(self.kernels, x, self.training):
            return (trained if self.training else evaluated)(self, x, relu)
        if self.training:
            self.num_batches_tracked.add_(1)
        out = torch.batch_norm(
            x, self.weight, self.bias, self.running_mean, self.running_var,
            self.training, self.momentum, self.eps, torch.backends.cudnn.enabled,
        )  # fmt: skip
        return torch.relu_(out) if relu else out

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, stat_batch={self.stat_batch}"


def batch_norm(channels: int, *, groups: int = 32, stat_batch: int | None = None) -> nn.Module:
    """Build the layer of `norm="bn"`."""
    return BatchNorm2d(channels, stat_batch)
