"""Batch normalization that can take its statistics over fewer images than the batch holds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fairtrial.kernels import cpu
from fairtrial.kernels.cpu_norm import fuses, normalized
from fairtrial.kernels.dispatch import FASTEST


class BatchNorm2d(nn.BatchNorm2d):
    """BN; with `stat_batch`, ghost BN (Hoffer et al., 2017).

    In training, each run of `stat_batch` images of the batch has its own statistics: k * stat_batch images in
    one batch give what they give as k batches one after the other, running statistics included. Evaluation is
    plain BN. kernels: a row of `dispatch.KERNELS`.
    """

    kernels: str = FASTEST
    momentum: float
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int, stat_batch: int | None = None) -> None:
        if stat_batch is not None and stat_batch < 1:
            raise ValueError(f"stat_batch={stat_batch}; expected at least 1 image per statistic, or None")
        super().__init__(channels)
        self.stat_batch = stat_batch

    def forward(self, x: Tensor, relu: bool = False) -> Tensor:
        """relu: cut the result at zero, which our kernels do in the same pass."""
        stat_batch = self._images_per_statistic(x) if self.training else len(x)
        if fuses(self.kernels, x) and (self.training or not torch.is_grad_enabled()):
            return self._fused(x, stat_batch, relu)
        if stat_batch == len(x):
            out = self._normalize(x)
        else:
            out = torch.cat([self._normalize(images) for images in x.split(stat_batch)])
        return torch.relu_(out) if relu else out

    def _fused(self, x: Tensor, stat_batch: int, relu: bool) -> Tensor:
        """The same by our kernels; in evaluation, without a gradient."""
        if not self.training:
            scale = self.weight * torch.rsqrt(self.running_var + self.eps)
            return cpu.scale_and_shift(x, scale, self.bias - self.running_mean * scale, relu)
        over = cpu.Statistics(stat_batch, x.shape[1])
        out, kept = normalized(x, over, self.weight, self.bias, self.eps, relu)
        with torch.no_grad():
            count, sets = stat_batch * x.shape[2] * x.shape[3], len(x) // stat_batch
            means, variances = kept[: 2 * sets * over.groups].view(2, sets, over.groups)
            for mean, variance in zip(means, variances * (count / (count - 1)), strict=True):
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance, self.momentum)
            self.num_batches_tracked.add_(sets)
        return out

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

    def _normalize(self, x: Tensor) -> Tensor:
        """What nn.BatchNorm2d does with its default settings, by the shortest way."""
        if self.training:
            self.num_batches_tracked.add_(1)
        return torch.batch_norm(
            x, self.weight, self.bias, self.running_mean, self.running_var,
            self.training, self.momentum, self.eps, torch.backends.cudnn.enabled,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, stat_batch={self.stat_batch}"


def batch_norm(channels: int, *, groups: int = 32, stat_batch: int | None = None) -> nn.Module:
    """Build the layer of `norm="bn"`."""
    return BatchNorm2d(channels, stat_batch)
