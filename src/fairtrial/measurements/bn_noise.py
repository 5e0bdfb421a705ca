"""How noisy the statistics of BN are, by the images that they are taken over (F3.5)."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from fairtrial.data import Dataset
from fairtrial.errors import BAD_INPUT, fault
from fairtrial.models.resnet import ResNetV2, create_model
from fairtrial.rng import stream
from fairtrial.storage.record import Attempt
from fairtrial.storage.store import Store
from fairtrial.training.augmentation import normalize
from fairtrial.weights import load

SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128)
BATCHES: Final = 200
BN: Final[dict[str, Any]] = {"norm": "bn", "weight_std": False}


def measure(dataset: Dataset, upstream: Path) -> dict[str, Any]:
    """Every BN network of a pre-training study, on the training images of a data set.

    -> {"data", "data_sha256", "sizes", "batches", "nets": [see `noise`, with upstream_seed and sha256]}.
    """
    images = dataset.train_images
    most = max(SIZES)
    if len(images) < most:
        what = f"{len(images)} training images; the largest batch takes {most}"
        raise fault(what, dataset.name, "choose data with more images", BAD_INPUT)
    nets = []
    for record in checkpoints(upstream):
        network, sha256 = _network(record, upstream)
        rows = batches_of(record.seed, len(images), BATCHES)
        nets.append({"upstream_seed": record.seed, "sha256": sha256, **noise(network, images, rows)})
    facts = {"data": dataset.name, "data_sha256": dataset.sha256, "sizes": list(SIZES), "batches": BATCHES}
    return {**facts, "side": int(images.shape[-1]), "nets": nets}


def checkpoints(upstream: Path) -> list[Attempt]:
    """The finished cells of a study that kept a network with plain BN, by seed; a Fault without one."""
    found = [
        record
        for record in Store(upstream).attempts()
        if record.status == "done"
        and record.measured.checkpoint
        and all(getattr(record.settings, name) == level for name, level in BN.items())
    ]
    if not found:
        do = "pre-train first: fairtrial run upstream"
        raise fault("no network with BN is recorded there", str(upstream), do, BAD_INPUT)
    return sorted(found, key=lambda record: record.seed)


def _network(record: Attempt, upstream: Path) -> tuple[ResNetV2, str]:
    kept, settings = record.measured.checkpoint, record.settings
    assert kept is not None
    network = create_model(settings.model, 1, **BN)
    source = load(network, upstream / "weights" / kept.file, head="zero")
    return network, source.sha256


def batches_of(seed: int, count: int, batches: int) -> np.ndarray:
    """(batches, 128) of image ids, each batch without repeats; smaller batches are the first of each."""
    draws = stream("eval", seed)
    return np.stack([draws.permutation(count)[: max(SIZES)] for _ in range(batches)])


@torch.no_grad()
def noise(network: ResNetV2, images: Tensor, rows: np.ndarray) -> dict[str, Any]:
    """One network -> "layers": per BN layer its pixels, and "mean" and "log_variance" by size; "gap" by size.

    images: (n, 3, H, W) uint8. rows: (batches, most) ids. mean: the SD over batches of a channel's batch
    mean, in units of the channel's own SD. log_variance: the SD over batches of log(variance + eps). Both
    are the root mean square over channels. gap: how far the features (what the head sees) in training mode
    are from those in evaluation mode, root mean square, in units of their SD over images.
    """
    training, layers = deepcopy(network).train(), {}
    for name, module in training.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            layers[name] = Watch(module)
    network.eval()
    calm = torch.cat([network.features(normalize(images[part])) for part in rows])
    scale = calm.var(0).mean().sqrt()
    calm = calm.view(*rows.shape, -1)
    gaps = []
    for size in SIZES:
        square = 0.0
        for part, still in zip(rows[:, :size], calm[:, :size], strict=True):
            square += float((training.features(normalize(images[part])) - still).square().mean())
        gaps.append(float((square / len(rows)) ** 0.5 / scale))
        for watch in layers.values():
            watch.close()
    return {"layers": {name: watch.deviations() for name, watch in layers.items()}, "gap": gaps}


class Watch:
    """The batch statistics that pass one BN layer, size by size."""

    def __init__(self, layer: nn.BatchNorm2d) -> None:
        self.eps, self.pixels = layer.eps, 0
        self._open: list[tuple[Tensor, Tensor]] = []
        self._closed: list[tuple[np.ndarray, np.ndarray]] = []  # per size (batches, channels) of both
        layer.register_forward_pre_hook(self._seen)

    def _seen(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        (x,) = inputs
        self.pixels = x.shape[2] * x.shape[3]
        var, mean = torch.var_mean(x.double(), dim=(0, 2, 3), correction=0)
        self._open.append((mean, var))

    def close(self) -> None:
        """What came since the last time is one size."""
        means, variances = (torch.stack(each).numpy() for each in zip(*self._open, strict=True))
        self._closed.append((means, variances))
        self._open = []

    def deviations(self) -> Mapping[str, Any]:
        """Pixels, and both deviations by size."""
        own = np.sqrt(self._closed[-1][1].mean(0) + self.eps)  # of each channel, from the largest batches
        return {
            "pixels": self.pixels,
            "mean": [_rms(means.std(0, ddof=1) / own) for means, _ in self._closed],
            "log_variance": [_rms(np.log(each + self.eps).std(0, ddof=1)) for _, each in self._closed],
        }


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))
