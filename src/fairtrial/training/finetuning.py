"""What fine-tuning trains of a network that starts pre-trained, and what it leaves as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairtrial.models.resnet import ResNetV2
from fairtrial.models.torchvision_backbones import Backbone, last_stage
from fairtrial.training.batches import EVAL_BATCH, Order, Task
from fairtrial.training.loop import eval_batches

Network = ResNetV2 | Backbone
Mode = Callable[[nn.Module], object]


def freeze(model: Network, finetune: str, bn_mode: str) -> Mode:
    """Take the gradient from what stays -> the training mode of the rest, for `train.fit`.

    finetune "last": the last block and the head are trained. What stays is in evaluation mode: its BN keeps
    the running statistics. bn_mode "frozen" or "re-estimated": every BN does, while its scale and shift are
    trained with the rest.
    """
    moving: tuple[nn.Module, ...] = (model,)
    if finetune == "last":
        model.requires_grad_(False)
        moving = (model.body[-1], model.head) if isinstance(model, ResNetV2) else last_stage(model)
        for module in moving:
            module.requires_grad_(True)
    still = _batch_norms(model) if bn_mode != "updated" else []

    def training(network: nn.Module) -> None:
        network.eval()
        for module in moving:
            module.train()
        for module in still:
            module.eval()

    return training


@torch.no_grad()
def re_estimate(model: nn.Module, task: Task, ids: np.ndarray, batch_size: int) -> None:
    """Give every BN the statistics of the training images: their mean over batches without augmentation.

    As AdaBN (Li et al., 2016), from training images instead of test images. ids: (n,) of the training split.
    """
    norms = _batch_norms(model)
    usual = [norm.momentum for norm in norms]
    model.train()
    for number, images in enumerate(_originals(task, ids).split(batch_size)):
        for norm in norms:
            norm.momentum = 1 / (number + 1)  # the running mean of all batches so far
        model(task.view(images))
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum


def _batch_norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


@dataclass
class Features:
    """The frozen features of one cell, computed once, in place of its images. rows: (n, channels)."""

    rows: Tensor
    labels: Tensor  # (n,) int64
    val_images: Tensor  # (V, channels)
    val_labels: Tensor
    order: Order
    position: dict[int, int]  # example id -> row
    eval_batch: int = EVAL_BATCH

    @classmethod
    def of(cls, model: Network, task: Task, ids: np.ndarray) -> Features:
        """What the head of a frozen network sees of the training images `ids`, and of the validation ones."""
        return cls(
            rows=seen(model, task, _originals(task, ids)),
            labels=task.labels[torch.from_numpy(ids).to(task.labels.device)],
            val_images=seen(model, task, task.val_images),
            val_labels=task.val_labels,
            order=task.order,
            position={int(example): row for row, example in enumerate(ids)},
            eval_batch=task.eval_batch,
        )

    def batch(self, step: int, batch_size: int, alpha: float) -> tuple[Tensor, Tensor]:
        """Batch number `step`: (B, channels) and class ids, in the order that full fine-tuning has."""
        ids = np.concatenate([ids for _, ids in self.order.batch(step, batch_size)])
        index = torch.tensor([self.position[int(example)] for example in ids], device=self.labels.device)
        return self.rows[index], self.labels[index]

    def view(self, images: Tensor) -> Tensor:
        """Features are what they are."""
        return images


@torch.no_grad()
def seen(model: Network, task: Task, images: Tensor) -> Tensor:
    """The features of stored images, (n, channels) float32, in evaluation mode."""
    model.eval()
    if not len(images):
        return images.new_zeros(0, dtype=torch.float32)
    parts = eval_batches(images, task.view, task.eval_batch)
    return torch.cat([model.features(part).float() for part in parts])


def _originals(task: Task, ids: np.ndarray) -> Tensor:
    """Stored training images without their padding, (n, 3, H, W) uint8."""
    images = task.images[torch.from_numpy(ids).to(task.images.device)]
    pad = task.pad if task.resize is None else 0
    return images[:, :, pad : images.shape[2] - pad, pad : images.shape[3] - pad]


class Probe(nn.Module):
    """The last linear map of a network, with its very weights: (n, channels) -> logits (n, classes)."""

    def __init__(self, model: Network) -> None:
        super().__init__()
        last = model.head.conv if isinstance(model, ResNetV2) else model.head
        assert last.bias is not None
        self.weight, self.bias = last.weight, last.bias

    def forward(self, features: Tensor) -> Tensor:
        return F.linear(features, self.weight.flatten(1), self.bias)
