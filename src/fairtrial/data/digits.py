"""scikit-learn's bundled digits: 1 797 real 8x8 grey scans of 10 classes, offline."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from fairtrial.data.split_arrays import Arrays, Source

RESOLUTION: Final = 16
_SIDE: Final = 8
_THIRD: Final = 3


def source(name: str = "digits", download: bool = False) -> Source:
    """The digits of the installed scikit-learn; cached like the rest."""
    return Source(f"digits 1, scikit-learn {version('scikit-learn')}", load)


def load(resolution: int | None = None) -> Arrays:
    """The digits as (N, 3, resolution, resolution) uint8, 16x16 by default.

    Test split, fixed and stratified: within each class, in file order, every third image (the third, the
    sixth, ...) is a test image. Grey 0..16 becomes round(value * 255 / 16), halves up, repeated over three
    channels. A resolution that is a multiple of 8 repeats pixels exactly; any other is bilinear.
    """
    table = _table()
    labels = table[:, -1].astype(np.int64)
    grey = np.floor(table[:, :-1].reshape(-1, _SIDE, _SIDE) * 255 / 16 + 0.5).astype(np.uint8)
    grey = _resized(grey, RESOLUTION if resolution is None else resolution)
    images = np.repeat(grey[:, None], 3, axis=1)
    rank = np.empty_like(labels)
    for label in range(10):
        members = labels == label
        rank[members] = np.arange(members.sum())
    test = rank % _THIRD == _THIRD - 1
    return Arrays(
        classes=tuple(map(str, range(10))),
        train_images=images[~test],
        train_labels=labels[~test],
        test_images=images[test],
        test_labels=labels[test],
    )


def _table() -> np.ndarray:
    """(N, 65): 64 pixels and the label, from the file of scikit-learn; importing that takes 140 MB."""
    found = find_spec("sklearn")
    assert found is not None and found.origin is not None, "a dependency of fairtrial"
    return np.loadtxt(Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")


def _resized(grey: np.ndarray, side: int) -> np.ndarray:
    """grey: (N, 8, 8) uint8 -> (N, side, side)."""
    if side % _SIDE == 0:
        return grey.repeat(side // _SIDE, axis=1).repeat(side // _SIDE, axis=2)
    bilinear = Image.Resampling.BILINEAR
    return np.stack([np.asarray(Image.fromarray(scan).resize((side, side), bilinear)) for scan in grey])
