"""What a cell trains on: the order of its images, the draws upon them, batches by number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fairtrial.rng import stream
from fairtrial.training.augmentation import crop_flip, draws, mixup, normalize

# pixels of zero padding by resolution; an eighth of it elsewhere
PADS: Final = {32: 4}
EVAL_BATCH: Final = 500  # images
FUSED_EVAL_BATCH: Final = 64  # images of 32 px, so that caches hold what one layer hands to the next

View = Callable[[Tensor], Tensor]  # stored images -> what the network sees


class Order:
    """The stream of example ids: one permutation per epoch, epochs joined end to end, then chunked.

    The sequence is the same at every batch size; a batch may span two epochs, and no batch is ever short.
    """

    def __init__(self, ids: np.ndarray, replicate: int, prefix: str = "") -> None:
        self._ids, self._replicate, self._stream = ids, replicate, f"{prefix}order"
        self._epochs: dict[int, np.ndarray] = {}

    def batch(self, step: int, batch_size: int) -> list[tuple[int, np.ndarray]]:
        """(epoch, ids) of each run within batch number `step`; most batches have one run."""
        runs, position, end = [], step * batch_size, (step + 1) * batch_size
        while position < end:
            epoch, start = divmod(position, len(self._ids))
            ids = self._epoch(epoch)[start : start + end - position]
            runs.append((epoch, ids))
            position += len(ids)
        return runs

    def head(self, count: int) -> np.ndarray:
        """The first `count` ids; their digest goes into the cell's record."""
        return np.concatenate([ids for _, ids in self.batch(0, count)])

    def _epoch(self, epoch: int) -> np.ndarray:
        if epoch not in self._epochs:
            permutation = stream(self._stream, self._replicate, epoch).permutation(len(self._ids))
            self._epochs = {
                e: ids for e, ids in self._epochs.items() if e == epoch - 1
            }  # the batch may span two
            self._epochs[epoch] = self._ids[permutation]
        return self._epochs[epoch]


class Batches(Protocol):
    """What `fit` trains on: batches by number, and validation images with the way to look at them."""

    labels: Tensor
    val_images: Tensor
    val_labels: Tensor
    eval_batch: int  # the most images of a batch in evaluation

    def batch(self, step: int, batch_size: int, alpha: float) -> tuple[Tensor, Tensor]:
        """Batch number `step`: what the network sees, and targets."""
        ...

    def view(self, images: Tensor) -> Tensor:
        """Stored images as the network sees them in evaluation."""
        ...


@dataclass
class Task:
    """Images and draws of one cell. images: padded (N, 3, H + 2 pad, W + 2 pad) uint8 on the device.

    resize: images are stored unpadded, resized to this square in the batch and cropped by `pad` on each side,
    as in BiT (160 -> 128 pixels). prefix: of the streams of chance, seeds.UPSTREAM during pre-training.
    eval_batch: the most images of a batch in evaluation.
    """

    images: Tensor
    labels: Tensor  # (N,) int64
    val_images: Tensor  # (V, 3, H, W) uint8, carved from the training images
    val_labels: Tensor
    num_classes: int
    order: Order
    augment: str
    pad: int
    replicate: int
    prefix: str = ""
    resize: int | None = None
    eval_batch: int = EVAL_BATCH
    _tables: dict = field(default_factory=dict)

    def batch(self, step: int, batch_size: int, alpha: float) -> tuple[Tensor, Tensor]:
        """Batch number `step`: (B, 3, H, W) float32 and targets, class ids or soft ones with MixUp."""
        runs = self.order.batch(step, batch_size)
        ids = np.concatenate([ids for _, ids in runs])
        rows = self._draws(*runs[0])
        for epoch, more in runs[1:]:
            rows = rows.followed_by(self._draws(epoch, more))
        index = torch.from_numpy(ids).to(self.labels.device)
        if self.resize is None:
            images = normalize(crop_flip(self.images, index, rows, self.pad))
        else:
            large = resized(normalize(self.images[index]), self.resize)
            images = crop_flip(large, torch.arange(len(ids)), rows, self.pad)
        key = (self.replicate, runs[0][0], step)
        return mixup(images, self.labels[index], alpha, key, self.num_classes, prefix=self.prefix)

    def view(self, images: Tensor) -> Tensor:
        """Stored images, unpadded, as the network sees them in evaluation: no crop, the size of a crop."""
        side = None if self.resize is None else self.resize - 2 * self.pad
        return normalize(images) if side is None else resized(normalize(images), side)

    def _draws(self, epoch: int, ids: np.ndarray):
        if epoch not in self._tables:
            self._tables = {e: table for e, table in self._tables.items() if e == epoch - 1}
            size = len(self.labels)
            self._tables[epoch] = draws(
                self.augment, self.replicate, epoch, size, self.pad, prefix=self.prefix
            )
        return self._tables[epoch].rows(ids)


def resized(images: Tensor, side: int) -> Tensor:
    """(B, C, H, W) float -> (B, C, side, side), bilinear as in BiT; smoothed first where images shrink."""
    return F.interpolate(images, size=(side, side), mode="bilinear", antialias=max(images.shape[2:]) > side)


def pad_of(resolution: int) -> int:
    """Pixels that a random crop may move an image each way: 4 at 32 px (He et al. 2016, section 4.2)."""
    return PADS.get(resolution, max(1, resolution // 8))
