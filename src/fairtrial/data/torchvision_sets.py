"""Public benchmarks through torchvision, downloaded only when asked."""

from __future__ import annotations

import errno
import hashlib
import re
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from fairtrial.data.archive import fill_folder
from fairtrial.data.decode import MAX_ENCODED, opened
from fairtrial.data.split_arrays import Arrays, Source, Split, decoded
from fairtrial.errors import BAD_INPUT, Fault, fault, refuse_shortage
from fairtrial.plain_file import open_file, read_file
from fairtrial.storage import user_cache
from fairtrial.storage.download import download_file
from fairtrial.study.data_spec import TORCHVISION

ARCHIVES: Final = (".gz", ".tgz", ".zip")
_CIFAR: Final = "https://www.cs.toronto.edu/~kriz/"
_SVHN: Final = "http://ufldl.stanford.edu/housenumbers/"
_STL: Final = "http://ai.stanford.edu/~acoates/stl10/"
_FLOWERS: Final = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
_PETS: Final = "https://www.robots.ox.ac.uk/~vgg/data/pets/data/"
# What torchvision downloads: file -> (address, md5). The digests that it pins decide whether a file is the
# published one, also where its server has no https. torchvision itself goes on over http where https fails.
DOWNLOADS: Final = {
    "cifar10": {"cifar-10-python.tar.gz": (_CIFAR, "c58f30108f718f92721af3b95e74349a")},
    "cifar100": {"cifar-100-python.tar.gz": (_CIFAR, "eb9058c3a382ffc7106e4002c42a8d85")},
    "svhn": {
        "train_32x32.mat": (_SVHN, "e26dedcc434d2e4c54c9b2d4a06d8373"),
        "test_32x32.mat": (_SVHN, "eb5a983be6a315427106f1b164d9cef3"),
    },
    "stl10": {"stl10_binary.tar.gz": (_STL, "91f7769df0f17e558f3565bffb0c7dfb")},
    "flowers102": {
        "flowers-102/102flowers.tgz": (_FLOWERS, "52808999861908f626f3c1f4e79d11fa"),
        "flowers-102/imagelabels.mat": (_FLOWERS, "e0620be6f572b9609742df49c70aed4d"),
        "flowers-102/setid.mat": (_FLOWERS, "a5357ecc9cb78c4bef273ce3793fc85c"),
    },
    "oxfordiiitpet": {
        "oxford-iiit-pet/images.tar.gz": (_PETS, "5c4f3ee8e5d25df40f4fd59a7f44e54c"),
        "oxford-iiit-pet/annotations.tar.gz": (_PETS, "95a8c909bbe2e81eed6a22bccdf3f68f"),
    },
}
LARGEST: Final = 4 * 2**30  # bytes of one download; STL10 has 2.6 GB
_DOWNLOAD: Final = "add --download to the command"
_ADVICE: Final = re.compile(r"\.? ?You can use download=True.*")  # of torchvision, to a programmer
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


def source(name: str, download: bool = False) -> Source:
    """A row of study.data_spec.TORCHVISION, from `torchvision/NAME` in the cache folder.

    torchvision is imported only to download or to decode: its import takes seconds.
    CIFAR arrives as pickles: torchvision loads them, after comparing them with md5 digests that it pins, so
    that they are the published ones. Nothing in fairtrial loads a pickle itself.
    """
    root = user_cache.folder() / "torchvision" / name
    if download:
        _download(name, root)
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix not in ARCHIVES)
    if not files:
        raise _absent(name, root, "it is not on this machine")
    return of_files(name, root, files)


def of_files(name: str, root: Path, files: list[Path], do: str = _DOWNLOAD) -> Source:
    """A row of study.data_spec.TORCHVISION from the files below a root that torchvision takes.

    do: what to do about files that torchvision refuses.
    """
    stamp = hashlib.sha256()
    for file in files:
        with open_file(file) as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        stamp.update(f"{file.relative_to(root)}\n{digest}\n".encode())
    return Source(f"torchvision 1 {name} {stamp.hexdigest()}", partial(_build, name, root, do))


def _absent(name: str, root: Path, why: str, do: str = _DOWNLOAD) -> Fault:
    return fault(f"expected the images of {name}; {why}", str(root), do, BAD_INPUT)


def _download(name: str, root: Path) -> None:
    """Fetch and unpack into `NAME.part`, which gets its name when both splits open.

    torchvision writes under the last name from the first byte on, and believes some sets by their folders.
    """
    part = root.with_name(f"{name}.part")
    fill_folder(root, partial(_fetch, name, root), partial(_stands, name), partial(_believed, name, part))


def _stands(name: str, root: Path) -> bool:
    """Whether the set is here in full; other files are a Fault, for they may be a person's."""
    if not any(path.is_file() for path in root.rglob("*")):
        return False
    try:
        _open(name, root, download=False)
    except _Refused as error:
        why = f"torchvision refuses the files: {error}"
        raise _absent(name, root, why, "move this folder away, then run the same command again") from None
    return True


def _fetch(name: str, root: Path, part: Path) -> None:
    """Download what is missing, then let torchvision unpack it."""
    for file, (base, md5) in DOWNLOADS[name].items():
        path = part / file
        if not path.exists():
            check = partial(_check, root, file, md5)
            download_file(f"{base}{path.name}", path, check, most=LARGEST, pinned=True)
    try:
        _open(name, part, download=True)
    except _Refused as error:
        why = f"torchvision refuses what was downloaded: {error}"
        raise _absent(name, root, why, "run the same command again") from None


def _check(root: Path, file: str, md5: str, part: Path, _: object) -> None:
    if (found := _md5(part)) != md5:
        what = f"md5 of {file} ({part.stat().st_size:,} bytes): expected {md5}, got {found}"
        raise fault(what, str(root), "run the same command again", BAD_INPUT)


def _believed(name: str, part: Path, file: Path) -> bool:
    """Whether a file of a `.part` is a whole download, or one that can be continued."""
    path = str(file.relative_to(part)).removesuffix(".json").removesuffix(".part")
    if path not in DOWNLOADS[name] or file.is_symlink():
        return False
    return file.name.endswith((".part", ".part.json")) or _md5(file) == DOWNLOADS[name][path][1]


def _md5(file: Path) -> str:
    with open_file(file) as stream:
        return hashlib.file_digest(stream, partial(hashlib.md5, usedforsecurity=False)).hexdigest()


def _build(name: str, root: Path, do: str, resolution: int | None) -> Arrays:
    try:
        train, test = _open(name, root, download=False)
        first, second = _split(train, f"{name} train"), _split(test, f"{name} test")
    except (_Refused, OverflowError) as error:  # a label of twenty digits
        raise _absent(name, root, f"torchvision refuses the files: {error}", do) from None
    names = getattr(train, "classes", None) or range(first.labels.max(initial=-1) + 1)  # SVHN has no names
    return decoded(tuple(map(str, names)), first, second, resolution)


class _Refused(Exception):
    """torchvision has no such set here: missing, damaged, or no network."""


def _open(name: str, root: Path, *, download: bool) -> list[Any]:
    from torchvision import datasets

    row = TORCHVISION[name]
    opener = getattr(datasets, row.dataset)
    try:
        return [opener(str(root), download=download, **chosen) for chosen in (row.train, row.test)]
    except (RuntimeError, OSError, EOFError, ValueError) as error:
        refuse_shortage(error, str(root))
        if isinstance(error, OSError) and error.errno in _FULL:
            raise
        raise _Refused(_ADVICE.sub("", str(error)) or type(error).__name__) from None


def _split(dataset: Any, title: str) -> Split:
    # The labels without the images: `targets` in CIFAR, `labels` in SVHN and STL10, `_labels` in the others.
    known = ("targets", "labels", "_labels")
    labels = np.asarray(next(getattr(dataset, name) for name in known if hasattr(dataset, name)), np.int64)
    # sets that are files are decoded here: torchvision has no limits, and ignores EXIF's orientation
    files = getattr(dataset, "_image_files", None) or getattr(dataset, "_images", None)
    if files is None:
        return Split(labels, lambda row: dataset[row][0], lambda row: f"{title}, image {row}")
    return Split(
        labels, lambda row: opened(read_file(Path(files[row]), MAX_ENCODED)), lambda row: str(files[row])
    )
