"""Archives and folders of public sets, damaged in every way: our own error, or data; no hang, no memory."""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from torchvision import datasets

from fairtrial.data import official_folders
from fairtrial.data.archive import _fill
from fairtrial.data.archive_members import checked
from fairtrial.errors import Fault
from tests.data import test_official_folders as whole
from tests.data.making import picture, write_folder
from tests.support.mutations import NUMBERS, refusals

pytestmark = pytest.mark.slow

HEADER = 512  # bytes of a tar's
FIELDS = (0, 100, 108, 116, 124, 136, 156, 157, 257, 263, 297, 329, 337, 345)  # in it
ODD = b"\0 /.\x30\x31\x37\x35LKxgSV\x80\xff"  # names, numbers, kinds, signs of base 256


@pytest.fixture(autouse=True)
def nothing_is_synced(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)


def unpacking(folder: Path):
    """What unpacks an archive into an empty folder."""
    part = folder / "set.part"

    def ask(path):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        with path.open("rb") as file, checked(path, file) as members:
            _fill(path, members, part.with_suffix(""), part)

    return ask


def zipped(root: Path) -> list[Path]:
    path = root.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(root.rglob("*.png")):
            archive.write(file, file.relative_to(root))
    return [path]


def tarred(root: Path) -> list[Path]:
    """A long name has an entry of its own in GNU's form; a letter with an accent has one in pax's."""
    paths = []
    for form, end in ((tarfile.GNU_FORMAT, "x" * 120), (tarfile.PAX_FORMAT, "é"), (tarfile.USTAR_FORMAT, "")):
        paths.append(root.with_name(f"pets{form}.tar"))
        with tarfile.open(paths[-1], "w", format=form) as archive:
            for file in sorted(root.rglob("*.png")):
                archive.add(file, f"{file.relative_to(root)}{end}")
    return paths


def gzipped(root: Path) -> list[Path]:
    paths = [path.with_suffix(".tgz") for path in tarred(root)]
    for path in paths:
        path.write_bytes(gzip.compress(path.with_suffix(".tar").read_bytes()))
    return paths


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("made", [zipped, tarred, gzipped], ids=lambda made: made.__name__)
def test_a_damaged_archive_is_refused_or_unpacked(tmp_path, made, number):
    paths, ask = made(write_folder(tmp_path / "pets", train=1, test=1)), unpacking(tmp_path)
    for path in paths:
        ask(path)
    assert refusals(paths, ask, number) > number / 2


def resealed(data: bytes, draws) -> bytes:
    """A tar with other headers, whose checksums are right."""
    body = bytearray(data)
    heads = [at for at in range(0, len(data), HEADER) if data[at + 257 : at + 262] == b"ustar"]
    for _ in range(draws.choice((1, 1, 2, 3))):
        at = draws.choice(heads)
        body[at + draws.choice(FIELDS) + draws.randrange(12)] = draws.choice((*ODD, draws.randrange(256)))
        body[at + 148 : at + 156] = b" " * 8
        body[at + 148 : at + 156] = b"%06o\0 " % sum(body[at : at + HEADER])
    return bytes(body)


@pytest.mark.parametrize("number", NUMBERS)
def test_an_archive_of_other_headers_is_refused_or_unpacked(tmp_path, number):
    """Under right checksums, of its headers and of gzip."""
    paths, ask = tarred(write_folder(tmp_path / "pets", train=1, test=1)), unpacking(tmp_path)
    assert refusals(paths, ask, number, resealed) > number / 4

    def inside(data, draws):
        return gzip.compress(resealed(gzip.decompress(data), draws), 1)

    assert refusals(gzipped(tmp_path / "pets"), ask, number // 5, inside) > number / 20


def cifar(root: Path, _):
    folder = whole.write_binary(root) / "cifar-10-batches-bin"
    return [folder / "data_batch_1.bin", folder / "batches.meta.txt"], f"cifar10:{root}"


def cifar_pickles(root: Path, monkeypatch):
    """Which are refused by their digests, before torchvision loads them."""
    folder = whole.write_python(root, monkeypatch) / "cifar-10-batches-py"
    return [folder / "data_batch_1", folder / "batches.meta"], f"cifar10:{root}"


def mnist(root: Path, _):
    whole.write_mnist(root, "", "-", False)
    packed = root / "t10k-images-idx3-ubyte.gz"
    packed.write_bytes(gzip.compress((root / packed.stem).read_bytes()))
    (root / packed.stem).unlink()
    return sorted(root.glob("*-ubyte*")), f"mnist:{root}"


def pets(root: Path, _):
    base = root / "oxford-iiit-pet"
    for folder in ("images", "annotations"):
        (base / folder).mkdir(parents=True)
    lists = [base / "annotations" / f"{split}.txt" for split in ("trainval", "test")]
    for first, path in zip((0, 4), lists, strict=True):
        names = [f"{'Beagle' if n % 2 else 'Abyssinian'}_{n}" for n in range(first, first + 4)]
        path.write_text("".join(f"{name} {1 + n % 2} 1 1\n" for n, name in enumerate(names)))
        for n, name in enumerate(names):
            picture(first + n).save(base / "images" / f"{name}.jpg")
    return lists, f"oxfordiiitpet:{root}"


def stl(root: Path, monkeypatch):
    """The names of its classes, whose digest nobody pins."""
    base = root / "stl10_binary"
    base.mkdir(parents=True)
    parts = {"train_X": 3, "train_y": (1, 2, 3), "unlabeled_X": 1, "test_X": 1, "test_y": (2,)}
    for name, of in parts.items():
        made = bytes(of) if isinstance(of, tuple) else np.random.default_rng(0).bytes(of * 3 * 96**2)
        (base / f"{name}.bin").write_bytes(made)
    (base / "class_names.txt").write_text("airplane\nbird\ncar\n")
    pinned = [[f"{name}.bin", whole.md5(base / f"{name}.bin")] for name in parts]
    monkeypatch.setattr(datasets.STL10, "train_list", pinned[:3])
    monkeypatch.setattr(datasets.STL10, "test_list", pinned[3:])
    return [base / "class_names.txt"], f"stl10:{root}"


def imagenet(root: Path, _):
    """The list of Kaggle's validation classes."""
    truth = whole.write_ilsvrc(root)
    rows = [f"{name.removesuffix('.JPEG')},{wnid} 1 2 3 4\n" for name, wnid in truth.items()]
    path = root / "LOC_val_solution.csv"
    path.write_text("".join(["ImageId,PredictionString\n", *rows]))
    return [path], f"imagenet:{root}"


def devkit(packed: bool):
    """The lists of the official kit, of which scipy's reader made the process end by a signal."""

    def made(root: Path, _):
        whole.write_ilsvrc(root)
        kit = root / "ILSVRC2012_devkit_t12/data"
        kit.mkdir(parents=True)
        kind = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O")]
        synsets = np.array([(1, "n01443537", "a"), (2, "n01440764", "b")], kind)
        savemat(kit / "meta.mat", {"synsets": synsets}, do_compression=packed)
        truth = kit / "ILSVRC2012_validation_ground_truth.txt"
        truth.write_text("1\n2\n" * 3)
        return [kit / "meta.mat"] if packed else [kit / "meta.mat", truth], f"imagenet:{root}"

    made.__name__ = "packed_devkit" if packed else "devkit"
    return made


SETS = (cifar, cifar_pickles, mnist, pets, stl, imagenet, devkit(False), devkit(True))


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("made", SETS, ids=lambda made: made.__name__)
def test_a_damaged_set_is_refused_or_read(tmp_path, monkeypatch, made, number):
    paths, place = made(tmp_path / "set", monkeypatch)

    def ask(_):
        return official_folders.source(place).build(8)

    ask(None)
    assert refusals(paths, ask, number) > number / 5


@pytest.mark.parametrize("number", NUMBERS)
def test_an_idx_file_of_other_lengths_is_refused_or_read(tmp_path, monkeypatch, number):
    """Lengths of nothing, and of more than a file can have."""
    paths, place = mnist(tmp_path / "set", monkeypatch)
    paths = [path for path in paths if path.suffix != ".gz"]

    def other(data, draws):
        dims = data[3]
        lengths = [draws.choice((0, 10, 28, 2**32 - 1)) for _ in range(dims)]
        values = data[4 + 4 * dims :] if draws.random() < 0.5 else b""
        return data[:4] + np.array(lengths, ">u4").tobytes() + values

    assert refusals(paths, lambda _: official_folders.source(place).build(8), number, other) > number / 2


@pytest.mark.parametrize("label", ["0", "-5", "1000000000000", "9" * 25])
def test_a_label_of_no_class_is_refused(tmp_path, monkeypatch, label):
    """torchvision counts pets from one, and believes any number."""
    (path, _), place = pets(tmp_path / "set", monkeypatch)
    path.write_text(path.read_text().replace(" 1 1 1", f" {label} 1 1"))
    with pytest.raises(Fault, match=r"expected a label in 0..1|torchvision refuses the files"):
        official_folders.source(place).build(8)
    path.write_text("")
    with pytest.raises(Fault, match="expected images; there are none"):
        official_folders.source(place).build(8)
