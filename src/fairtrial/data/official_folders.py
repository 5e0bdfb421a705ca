"""Public benchmarks in the folders that torchvision or the official archives leave on a disk."""

from __future__ import annotations

import gzip
import hashlib
import math
import re
import struct
import zlib
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from fairtrial.data import image_folder, matlab, torchvision_sets
from fairtrial.data.split_arrays import Arrays, Source, Split, decoded
from fairtrial.errors import BAD_INPUT, Fault, Problem, fault, refuse_shortage
from fairtrial.plain_file import open_file, read_file

MOST: Final = 2**30  # bytes of one file, unpacked; a binary batch of CIFAR-100 has 154 MB
BASES: Final = {  # what torchvision makes below its root
    "cifar10": "cifar-10-batches-py",
    "cifar100": "cifar-100-python",
    "stl10": "stl10_binary",
    "flowers102": "flowers-102",
    "oxfordiiitpet": "oxford-iiit-pet",
}
_BY_HAND: Final = {"oxfordiiitpet": "annotations", "flowers102": "jpg"}  # what their archives leave on top
SVHN: Final = ("train_32x32.mat", "test_32x32.mat")
_CIFAR: Final = {  # folder of the binary version, files of its splits, bytes of labels before an image, names
    "cifar10": (
        "cifar-10-batches-bin",
        (tuple(f"data_batch_{number}.bin" for number in range(1, 6)), ("test_batch.bin",)),
        1,
        "batches.meta.txt",
    ),
    "cifar100": ("cifar-100-binary", (("train.bin",), ("test.bin",)), 2, "fine_label_names.txt"),
}
_IDX: Final = {"mnist": "MNIST", "fashionmnist": "FashionMNIST"}
_SIDE: Final = 32
_AGAIN: Final = "unpack the archive again"


def source(place: str, download: bool = False) -> Source:
    """A set of study.data_spec.ON_DISK. place: "NAME:DIR", the folder that torchvision or an archive made,
    or the one above it; a Fault names what is looked for. Nothing is fetched.
    """
    name, _, folder = place.partition(":")
    path = Path(folder)
    if (found := _torchvision_root(name, path)) is not None:
        return torchvision_sets.of_files(name, *found, do=_AGAIN)
    if name in _CIFAR:
        folder, splits, before, names = _CIFAR[name]
        at = next((each for each in (path / folder, path) if (each / splits[1][0]).exists()), None)
        if at is not None:
            batches = [[at / file for file in split] for split in splits]
            build = partial(_cifar, batches, before, at / names)
            return Source(_stamp(name, [*batches[0], *batches[1], at / names]), build)
    if name in _IDX:
        kinds = ("images", "labels")
        pairs = [[_idx_file(name, path, split, kind) for kind in kinds] for split in ("train", "t10k")]
        return Source(_stamp(name, [file for pair in pairs for file in pair]), partial(_idx, name, pairs))
    if name == "imagenet":
        return image_folder.walked(*_ilsvrc(path))
    raise _absent(name, path)


def _torchvision_root(name: str, path: Path) -> tuple[Path, list[Path]] | None:
    """The root that torchvision takes, and the files of the set below it; None where there is none."""
    if name == "svhn":
        files = [path / file for file in SVHN]
        return (path, files) if all(file.is_file() for file in files) else None
    base = BASES.get(name, "")
    root = path.parent if base and path.name == base else path
    if not base or not (root / base).is_dir():
        return None
    return root, sorted(file for file in (root / base).rglob("*") if file.is_file())


def _absent(name: str, path: Path) -> Fault:
    looked = [BASES.get(name), _CIFAR[name][0] if name in _CIFAR else None]
    wanted = " or ".join(filter(None, looked)) or " and ".join(SVHN)
    archives = [
        file.name for file in (path.iterdir() if path.is_dir() else ()) if file.suffix in (".gz", ".tgz")
    ]
    do = f"unpack {archives[0]} there first" if archives else "name the folder that holds it"
    if name in _BY_HAND and (path / _BY_HAND[name]).is_dir():
        do = f"give this folder the name {BASES[name]}, which torchvision looks for"
    return fault(
        f"expected {wanted}, which torchvision or the archive of {name} leaves", str(path), do, BAD_INPUT
    )


def _stamp(name: str, files: list[Path]) -> str:
    """Changes with the files; a Fault names each that cannot be read."""
    digest, problems = hashlib.sha256(), []
    for file in files:
        try:
            with open_file(file) as opened:
                digest.update(f"{file.name}\n{hashlib.file_digest(opened, 'sha256').hexdigest()}\n".encode())
        except OSError as error:
            refuse_shortage(error, str(file))
            what = f"expected the file {file.name} of {name}: {error.strerror}"
            problems.append(Problem(what, str(file), _AGAIN))
    if problems:
        raise Fault(problems, BAD_INPUT)
    return f"{name} as published 1 {digest.hexdigest()}"


def _bytes(file: Path) -> bytes:
    """The content of a file, unpacked where it is gzipped; a Fault beyond MOST bytes, or of a damaged one."""
    try:
        data = read_file(file, MOST)
        if data[:2] != b"\x1f\x8b":
            return data
        with open_file(file) as opened, gzip.GzipFile(fileobj=opened) as unpacked:
            data = unpacked.read(MOST + 1)
    except (OSError, EOFError, zlib.error) as error:
        refuse_shortage(error, str(file))
        raise _damaged(file, str(error)) from None
    if len(data) > MOST:
        raise _damaged(file, f"more than {MOST:,} bytes unpacked")
    return data


def _damaged(file: Path, why: str) -> Fault:
    return fault(f"expected a whole file of the archive; {why}", str(file), _AGAIN, BAD_INPUT)


def _cifar(files: list[list[Path]], before: int, names: Path, resolution: int | None) -> Arrays:
    """The binary version: rows of labels and 3 x 32 x 32 bytes; the last label is the fine one."""
    classes = tuple(line for line in _bytes(names).decode("utf-8", "replace").splitlines() if line.strip())
    splits = []
    for split in files:
        rows = []
        for file in split:
            data = np.frombuffer(_bytes(file), np.uint8)
            width = before + 3 * _SIDE**2
            if not len(data) or len(data) % width:
                raise _damaged(file, f"{len(data):,} bytes are no rows of {width}")
            rows.append(data.reshape(-1, width))
        table = np.concatenate(rows)
        labels = table[:, before - 1].astype(np.int64)
        images = table[:, before:].reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1)
        splits.append(_split(images, labels, split[0]))
    return decoded(classes, splits[0], splits[1], resolution)


def _split(images: np.ndarray, labels: np.ndarray, file: Path) -> Split:
    """images: (n, H, W) or (n, H, W, 3) uint8."""
    return Split(
        labels,
        lambda row: Image.fromarray(np.ascontiguousarray(images[row])),
        lambda row: f"{file}, image {row} of its split",
    )


def _idx_file(name: str, path: Path, split: str, kind: str) -> Path:
    """A file of MNIST's form, in DIR, DIR/raw or DIR/MNIST/raw, gzipped or not, with a dash or a dot."""
    dims = "3" if kind == "images" else "1"
    spelled = re.compile(rf"{split}-{kind}[-.]idx{dims}-ubyte(\.gz)?")
    for folder in (path, path / "raw", path / _IDX[name] / "raw"):
        found = sorted(f for f in (folder.iterdir() if folder.is_dir() else ()) if spelled.fullmatch(f.name))
        if found:
            return found[0]
    return path / f"{split}-{kind}-idx{dims}-ubyte"


def _idx(name: str, pairs: list[list[Path]], resolution: int | None) -> Arrays:
    from torchvision import datasets

    classes = tuple(getattr(datasets, _IDX[name]).classes)
    splits = []
    for images, labels in pairs:
        pictures, targets = _array(images, 3), _array(labels, 1).astype(np.int64)
        if len(pictures) != len(targets):
            raise _damaged(labels, f"{len(targets)} labels of {len(pictures)} images")
        splits.append(_split(pictures, targets, images))
    return decoded(classes, splits[0], splits[1], resolution)


def _array(file: Path, dims: int) -> np.ndarray:
    """The bytes of an IDX file: two zeros, type 8, the number of dimensions, their lengths, the values."""
    data = _bytes(file)
    start = 4 + 4 * dims
    shape = tuple(int(n) for n in np.frombuffer(data[4:start], ">u4")) if len(data) >= start else (0,)
    # without a length of 0 none can be longer than the file
    if data[:4] != bytes([0, 0, 8, dims]) or not all(shape) or len(data) - start != math.prod(shape):
        raise _damaged(file, f"{len(data):,} bytes are no IDX file of {dims} dimensions")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def count_images(place: str) -> dict[str, int]:
    """Split -> the images of ILSVRC in a folder, by names alone."""
    base = _ilsvrc_base(Path(place.partition(":")[2]))
    return image_folder.count_images({"train": base / "train", "test": base / "val"})


def _ilsvrc_base(path: Path) -> Path:
    bases = (path, path / "ILSVRC/Data/CLS-LOC", path / "Data/CLS-LOC")
    return next((each for each in bases if (each / "train").is_dir()), path)


def _ilsvrc(path: Path) -> tuple[Path, dict[str, Path], dict[str, str]]:
    """The folder, the folders of the splits, and the class of each validation image that lies in none.

    train/WNID/*.JPEG and val/WNID/*.JPEG, as torchvision sorts them; or a flat val beside the devkit or
    Kaggle's LOC_val_solution.csv. Its test images have no public labels: validation is the test split.
    """
    base = _ilsvrc_base(path)
    val = base / "val"
    flat = sorted(file.name for file in val.glob("*.JPEG")) if val.is_dir() else []
    labels = _val_classes(path, base, flat) if flat else {}
    return base, {"train": base / "train", "test": val}, labels


def _val_classes(path: Path, base: Path, flat: list[str]) -> dict[str, str]:
    for solution in (folder / "LOC_val_solution.csv" for folder in (path, base, *base.parents[:3])):
        if solution.is_file():
            lines = _bytes(solution).decode("utf-8", "replace").splitlines()[1:]
            rows = [line.split(",")[:2] for line in lines if "," in line]
            return {f"{name}.JPEG": box.split()[0] for name, box in rows if box.split()}
    kit = next(iter(sorted(path.glob("*devkit*/data"))), path / "ILSVRC2012_devkit_t12/data")
    if not (kit / "meta.mat").is_file():
        what = f"expected val/WNID/*, or the classes of the {len(flat):,} images that lie in val itself"
        do = "unpack ILSVRC2012_devkit_t12.tar.gz beside val, or sort the images into folders of classes"
        raise fault(what, str(base / "val"), do, BAD_INPUT)
    classes = _devkit(kit)
    if len(classes) != len(flat):
        raise _damaged(base / "val", f"{len(flat):,} images where the kit has {len(classes):,} classes")
    return dict(zip(flat, classes, strict=True))


def _devkit(kit: Path) -> list[str]:
    """The class of each validation image in the order of their names, by the development kit."""
    truth = _bytes(kit / "ILSVRC2012_validation_ground_truth.txt").split()
    try:
        table = matlab.rows(_bytes(kit / "meta.mat"), "synsets", 2)
        wnids = {int(number): str(wnid) for number, wnid in table}
        return [wnids[int(number)] for number in truth]
    except (ValueError, LookupError, OverflowError, struct.error, zlib.error) as error:
        raise _damaged(kit / "meta.mat", str(error)[:200]) from None
