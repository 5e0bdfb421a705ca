"""Public benchmarks through torchvision, downloaded only when asked."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from fairtrial.data import cache
from fairtrial.data.source import Arrays, Source, Split, decoded
from fairtrial.data.specs import TORCHVISION
from fairtrial.errors import BAD_INPUT, Fault, fault

ARCHIVES: Final = (".gz", ".tgz", ".zip")


def source(name: str, download: bool = False) -> Source:
    """A row of specs.TORCHVISION, from `torchvision/NAME` in the cache folder.

    torchvision is imported only to download or to decode: its import takes seconds.
    CIFAR arrives as pickles: torchvision loads them, after comparing them with md5 digests that it pins, so
    that they are the published ones. Nothing in fairtrial loads a pickle itself.
    """
    root = cache.folder() / "torchvision" / name
    if download:
        _open(name, root, download=True)
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix not in ARCHIVES)
    if not files:
        raise _absent(name, root, "it is not on this machine")
    stamp = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        stamp.update(f"{file.relative_to(root)}\n{digest}\n".encode())
    return Source(f"torchvision 1 {name} {stamp.hexdigest()}", partial(_build, name, root))


def _absent(name: str, root: Path, why: str) -> Fault:
    what = f"expected the images of {name}; {why}"
    return fault(what, str(root), "add --download to the command", BAD_INPUT)


def _build(name: str, root: Path, resolution: int | None) -> Arrays:
    train, test = _open(name, root, download=False)
    first, second = _split(train, f"{name} train"), _split(test, f"{name} test")
    names = getattr(train, "classes", None) or range(int(first.labels.max()) + 1)  # SVHN has no names
    return decoded(tuple(map(str, names)), first, second, resolution)


def _open(name: str, root: Path, *, download: bool) -> list[Any]:
    from torchvision import datasets

    row = TORCHVISION[name]
    opener = getattr(datasets, row.dataset)
    try:
        if download:
            root.mkdir(parents=True, exist_ok=True)
        return [opener(str(root), download=download, **chosen) for chosen in (row.train, row.test)]
    except (RuntimeError, OSError, EOFError) as error:  # missing, damaged, or no network
        why = f"the download failed: {error}" if download else f"torchvision refuses the files: {error}"
        raise _absent(name, root, why) from None


def _split(dataset: Any, title: str) -> Split:
    # The labels without the images: `targets` in CIFAR, `labels` in SVHN and STL10, `_labels` in the others.
    known = ("targets", "labels", "_labels")
    labels = next(getattr(dataset, name) for name in known if hasattr(dataset, name))
    return Split(
        np.asarray(labels, np.int64), lambda row: dataset[row][0], lambda row: f"{title}, image {row}"
    )
