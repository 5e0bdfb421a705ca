"""Checkpoints between studies: what pre-training keeps."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from fairtrial import weights
from fairtrial.data import Dataset
from fairtrial.files import publish, writing
from fairtrial.resnetv2 import ResNetV2


def keep(model: ResNetV2, dataset: Dataset, path: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Save a pre-trained network without its head, beside the prints of the images it saw -> its record."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    prints = path.with_name(f"images-{dataset.sha256[:16]}.u64")
    if not prints.exists():
        publish(prints, image_prints(dataset.train_images.numpy()).tobytes(), overwrite=True)
    metadata = {**facts, "upstream": dataset.name, "data": dataset.sha256, "cell": path.stem}
    source = weights.save(model, path, metadata, head=False)
    return {"file": path.name, "bytes": source.size, "sha256": source.sha256, "images": prints.name}


def image_prints(images: np.ndarray) -> np.ndarray:
    """Eight bytes of each image's digest, sorted. images: (n, 3, H, W) uint8 -> (n,) little-endian uint64."""
    found = [hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in images]
    return np.sort(np.frombuffer(b"".join(found), "<u8"))
