"""What a server on this machine holds in place of torchvision's, and what a download leaves."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from dataclasses import dataclass, field

import numpy as np
import pytest
from scipy.io import savemat

from fairtrial.data import open_dataset
from fairtrial.data.torchvision_sets import DOWNLOADS
from fairtrial.errors import BAD_INPUT, Fault

TRAIN, TEST = DOWNLOADS["svhn"]


@dataclass
class Shelf:
    """What the server answers."""

    bodies: dict[str, bytes] = field(default_factory=dict)
    stop_after: dict[str, int] = field(default_factory=dict)  # bytes, then the connection is closed
    hang: bool = False  # where it would be closed, it stays open
    asked: list[str] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def mat(seed, labels):
    """A file of SVHN: (32, 32, 3, n) pixels, labels 1..10."""
    file, rng = io.BytesIO(), np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (32, 32, 3, len(labels)), np.uint8)
    savemat(file, {"X": pixels, "y": np.array(labels, np.uint8)[:, None]})
    return file.getvalue()


def packed(files):
    """A .tar.gz of name -> bytes."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def left(home):
    """What lies in the folder of all sets, but for the locks."""
    if not home.exists():
        return []
    return sorted(str(p.relative_to(home)) for p in home.rglob("*") if p.is_file() and p.suffix != ".lock")


def failed(name="svhn", code=BAD_INPUT, fetch=True):
    with pytest.raises(Fault) as caught:
        open_dataset(name, download=fetch)
    assert caught.value.code == code
    (problem,) = caught.value.problems
    return problem


def not_here(name="svhn"):
    """Nothing that is left passes for the set."""
    assert "it is not on this machine" in failed(name, fetch=False).what
    return True
