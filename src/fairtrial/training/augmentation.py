"""Crop, flip and MixUp of a whole batch: (batch, draws) -> batch, on the device of the images.

Draws are made in numpy, from streams keyed by (seed, epoch) and indexed by example id: they depend neither
on the batch an image falls into nor on the number of workers. Off consumes nothing and shifts nothing.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fairtrial.rng import stream

Augment = Literal["none", "crop", "crop-flip"]
AUGMENTS: Final = ("none", "crop", "crop-flip")


class Draws(NamedTuple):
    """One row per example. dy, dx: (n,) int64 in 0..2 * pad, the corner of the window; flip: (n,) bool."""

    dy: np.ndarray
    dx: np.ndarray
    flip: np.ndarray

    def rows(self, ids: np.ndarray) -> Draws:
        """The draws of these examples, in their order."""
        return Draws(self.dy[ids], self.dx[ids], self.flip[ids])

    def followed_by(self, other: Draws) -> Draws:
        """These rows, then the others: a batch that spans two epochs takes rows of both tables."""
        return Draws(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))


def draws(kind: str, seed: int, epoch: int, n: int, pad: int, *, prefix: str = "") -> Draws:
    """The table of one epoch for example ids 0..n-1, from stream("augment", seed, epoch).

    "crop" and "crop-flip" share their windows, and a longer table starts with the shorter one.
    "none" is the centre, never flipped. prefix: seeds.UPSTREAM during pre-training.
    """
    if kind not in AUGMENTS:
        raise ValueError(f"unknown augment {kind!r}; known: {', '.join(AUGMENTS)}")
    if kind == "none":
        return Draws(np.full(n, pad), np.full(n, pad), np.zeros(n, bool))
    uniform = stream(f"{prefix}augment", seed, epoch).random((n, 3))
    corner = (uniform[:, :2] * (2 * pad + 1)).astype(np.int64)
    flip = uniform[:, 2] < 0.5 if kind == "crop-flip" else np.zeros(n, bool)
    return Draws(corner[:, 0], corner[:, 1], flip)


def padded(images: Tensor, pad: int) -> Tensor:
    """images: (N, C, H, W) uint8 -> (N, C, H + 2 pad, W + 2 pad), black around; done once for the whole set.

    Padding is zero in uint8, hence -1 after `normalize`.
    """
    return F.pad(images, (pad, pad, pad, pad)) if pad else images


def crop_flip(images: Tensor, ids: Tensor | np.ndarray, rows: Draws, pad: int) -> Tensor:
    """One gather: the window of each image at (dy, dx), mirrored where flip is set.

    images: (N, C, H + 2 pad, W + 2 pad), from `padded`, or larger originals (160 and pad 16: BiT's 128 crop).
    ids: (B,) examples; rows: their draws, (B,) each -> (B, C, H, W).
    """
    device = images.device
    ids, dy, dx, flip = (torch.as_tensor(row, device=device) for row in (ids, *rows))
    high, wide = images.shape[2] - 2 * pad, images.shape[3] - 2 * pad
    windows = images.unfold(2, high, 1).unfold(3, wide, 1)  # a view: (N, C, 2 pad + 1, 2 pad + 1, H, W)
    batch = windows[ids, :, dy, dx]
    return torch.where(flip[:, None, None, None], batch.flip(-1), batch)


def normalize(images: Tensor) -> Tensor:
    """uint8 0..255 -> float32 in [-1, 1], as BiT: (x / 255 - 0.5) / 0.5."""
    return images.float().div_(127.5).sub_(1)


def mixup(
    images: Tensor,
    labels: Tensor,
    alpha: float,
    key: tuple[int, int, int],
    num_classes: int,
    *,
    prefix: str = "",
) -> tuple[Tensor, Tensor]:
    """Blend each image with a partner of its batch; targets become soft.

    images: (B, C, H, W) float; labels: (B,) int64; key: (seed, epoch, step)
    -> images, targets (B, num_classes).
    One lambda ~ Beta(alpha, alpha) per batch and a random permutation inside it, as in BiT's released PyTorch
    code. `cross_entropy` takes class ids and soft targets alike, so the loss reads the same with MixUp off:
    alpha 0 draws nothing and returns its inputs.
    """
    if alpha == 0:
        return images, labels
    rng = stream(f"{prefix}mixup", *key)
    lam = float(rng.beta(alpha, alpha))
    partner = torch.from_numpy(rng.permutation(len(labels))).to(labels.device)
    targets = F.one_hot(labels, num_classes).to(images.dtype)
    return torch.lerp(images[partner], images, lam), torch.lerp(targets[partner], targets, lam)
