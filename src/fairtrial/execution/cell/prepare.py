"""From the settings of a cell to its images and its network."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import torch

from fairtrial.data import Dataset, Sealed, Subset, few_shot, open_dataset
from fairtrial.data.index_file import read_indices
from fairtrial.data.room import image_bytes, refuse_beyond, sparse
from fairtrial.errors import fault
from fairtrial.execution.container import MEMORY_SHARE, memory_bytes
from fairtrial.kernels.dispatch import FUSED
from fairtrial.models.resnet import create_model, init_weights
from fairtrial.models.torchvision_backbones import Backbone, create_backbone, init_backbone
from fairtrial.rng import key, prefix, replicate_key, stream
from fairtrial.study.backbone_names import TIMM, backbone
from fairtrial.study.recipes import rule_of
from fairtrial.study.settings import DRAWN, Settings
from fairtrial.training.augmentation import padded
from fairtrial.training.batches import EVAL_BATCH, FUSED_EVAL_BATCH, Order, Task, pad_of
from fairtrial.training.finetuning import Network

COPIED: Final = 4096  # images that are copied at once


@cache
def dataset_of(spec: str, resolution: int, download: bool) -> Dataset:
    """The images, opened once per process."""
    return open_dataset(spec, resolution=resolution, download=download)


def build_task(
    settings: Settings,
    dataset: Dataset,
    seed: int,
    replica: int,
    device: torch.device,
    indices: str = DRAWN,
) -> tuple[Task, Subset, Sealed]:
    """The training and validation images of one cell, its few-shot subset, and the sealed test split.

    indices: the path of a file that lists the images of each seed, in place of a draw.
    """
    subset = build_subset(settings, dataset, seed, indices)
    val = torch.from_numpy(subset.val)
    rule = rule_of(settings, len(subset.train), settings.resolution)
    pad = pad_of(settings.resolution) if rule is None else (rule.resize - rule.crop) // 2
    task = Task(
        images=_images(dataset, device, pad if rule is None else 0, subset),
        labels=train_labels(settings, dataset, seed).to(device),
        val_images=dataset.train_images[val].to(device),
        val_labels=dataset.train_labels[val].to(device),
        num_classes=dataset.num_classes,
        order=Order(subset.train, replicate_key(seed, replica), prefix(settings.stage)),
        augment=settings.augment,
        pad=pad,
        replicate=replicate_key(seed, replica),
        prefix=prefix(settings.stage),
        resize=None if rule is None else rule.resize,
        eval_batch=FUSED_EVAL_BATCH if settings.kernels == FUSED else EVAL_BATCH,
    )
    return task, subset, Sealed(dataset.test_images.to(device), dataset.test_labels.to(device))


def train_labels(settings: Settings, dataset: Dataset, seed: int) -> torch.Tensor:
    """Return the class of each training image as a network is told it, (N,) int64.

    A share `label_noise` of them, chosen at random, names one of the other classes instead, each as likely as
    the next (symmetric noise). The draw is of the seed's images: the same in all arms, and a smaller share is
    part of a larger one. Validation and test images keep their classes.
    """
    labels = dataset.train_labels
    if not settings.label_noise:
        return labels
    draws = stream(f"{prefix(settings.stage)}labels", seed)
    wrong = torch.from_numpy(draws.random(len(labels)) < settings.label_noise)
    shifts = torch.from_numpy(draws.integers(1, dataset.num_classes, len(labels)))
    return torch.where(wrong, (labels + shifts) % dataset.num_classes, labels)


def build_model(settings: Settings, classes: int, seed: int, replica: int) -> Network:
    """The network of one cell; parameters of one name and shape start equal in all arms."""
    replicate, purpose = replicate_key(seed, replica), f"{prefix(settings.stage)}init"

    def draw(name: str) -> np.random.Generator:
        return stream(purpose, replicate, key(name))

    model: Network
    if backbone(settings.model):
        model = _backbone(settings, classes)
        init_backbone(model, draw)
    else:
        model = create_model(
            settings.model, classes, settings.norm, settings.weight_std,
            # other norms see one image at a time
            stat_batch=settings.stat_batch if settings.norm_row.mixes_batch else None,
            kernels=settings.kernels, block=settings.block, stride_on=settings.stride_on,
            groups=settings.groups,
        )  # fmt: skip
        init_weights(model, draw, settings.head)
    if settings.layout == "nhwc":  # the first filter turns what passes through it
        model = model.to(memory_format=torch.channels_last)
    return model


def _backbone(settings: Settings, classes: int) -> Backbone:
    """A published network, whose norm and filters are those that the arm declares; a Fault otherwise."""
    try:
        model = create_backbone(settings.model, classes)
    except ImportError:
        if not settings.model.startswith(TIMM):
            raise
        do = 'pip install "fairtrial[timm]"'
        raise fault(
            "expected timm, which makes this network; it is not installed", settings.model, do
        ) from None
    except ValueError as error:
        if not settings.model.startswith(TIMM):
            raise
        raise fault(str(error), settings.model, "choose a name of timm.list_models()") from None
    for name in ("norm", "weight_std"):
        declared, built = getattr(settings, name), getattr(model.spec, name)
        if declared != built:
            what = f"{name}={declared!r}, but {settings.model} comes with {built}"
            raise fault(what, settings.model, f"fix {name}={built!r} for it")
    return model


def build_subset(settings: Settings, dataset: Dataset, seed: int, indices: str) -> Subset:
    """The chosen images of one cell: drawn from its seed, or listed in a file."""
    shots = settings.shots if isinstance(settings.shots, int) else None
    labels, known = dataset.train_labels.numpy(), (dataset.num_classes, dataset.classes)
    if indices == DRAWN:
        return few_shot(
            labels, shots, seed,
            val_per_class=settings.val_per_class, num_classes=known[0], classes=known[1],
            prefix=prefix(settings.stage),
        )  # fmt: skip
    listed = read_indices(
        Path(indices), labels=labels, test_n=len(dataset.test_labels), data_sha256=dataset.sha256,
        num_classes=known[0], classes=known[1],
    )  # fmt: skip
    return listed.subset(seed, shots, settings.val_per_class)


def _images(dataset: Dataset, device: torch.device, pad: int, subset: Subset) -> torch.Tensor:
    """The training images of a cell on the device, padded, at their places among all; others may be black.

    A Fault (exit code 6) where the device lacks the memory.
    """
    count, _, side, _ = dataset.train_images.shape
    if device.type != "cpu":
        if device.type == "cuda":
            need = image_bytes(count, side + 2 * pad) + image_bytes(len(dataset.test_labels), side)
            total = torch.cuda.get_device_properties(device).total_memory
            refuse_beyond(total, need, count + len(dataset.test_labels), side, dataset.name)
        return _padded(dataset, pad, device)
    memory, held, of_val = MEMORY_SHARE * memory_bytes(), side + 2 * pad, image_bytes(len(subset.val), side)
    own = image_bytes(len(subset.train), held) if pad else 0
    refuse_beyond(memory, own + of_val, len(subset.train) + len(subset.val), side, dataset.name)
    if not pad:
        return dataset.train_images
    table = _table(dataset, pad)
    if image_bytes(table.count_with(subset.train), held) + of_val > memory:  # with those of other seeds
        _table.cache_clear()
        table = _table(dataset, pad)
    return table.with_images(subset.train)


@cache
def _padded(dataset: Dataset, pad: int, device: torch.device) -> torch.Tensor:
    """The training images on the device, padded once per process."""
    return padded(dataset.train_images.to(device), pad)


class _PaddedTable:
    """Training images with black around them: those that cells of this process have asked for."""

    def __init__(self, images: torch.Tensor, pad: int) -> None:
        count, channels, high, wide = images.shape
        whole = torch.from_numpy(sparse((count, channels, high + 2 * pad, wide + 2 * pad)))
        self._images, self._whole = images, whole
        self._inner = whole[:, :, pad : pad + high, pad : pad + wide]
        self._there = np.zeros(count, bool)

    def count_with(self, ids: np.ndarray) -> int:
        """How many are there once these are."""
        return int(self._there.sum() + (~self._there[ids]).sum())

    def with_images(self, ids: np.ndarray) -> torch.Tensor:
        """The table, in which these are there."""
        for part in torch.from_numpy(np.sort(ids[~self._there[ids]])).split(COPIED):
            self._inner[part] = self._images[part]
        self._there[ids] = True
        return self._whole


@cache
def _table(dataset: Dataset, pad: int) -> _PaddedTable:
    """The table of this process."""
    return _PaddedTable(dataset.train_images, pad)
