"""Public sets in the folders that torchvision or the official archives leave: tiny ones in each layout."""

from __future__ import annotations

import gzip
import hashlib
import pickle
from pathlib import Path

import numpy as np
from scipy.io import savemat
from torchvision import datasets

from fairtrial.data import official_folders, open_dataset
from fairtrial.errors import BAD_INPUT, USAGE
from fairtrial.study.data_spec import ON_DISK, name_of
from tests.data.making import fault_of, picture, png

CLASSES = ("airplane", "automobile", "bird")
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 3 * 32 * 32), np.uint8)
LABELS = np.arange(12) % 3


def refused(spec: str, code: int = BAD_INPUT) -> str:
    return fault_of(spec, code, resolution=8).block()


def write_python(root: Path, monkeypatch) -> Path:
    """CIFAR-10 as torchvision unpacks it, two images a batch; its pinned digests are those of these files."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    for number, name in enumerate(names):
        rows = slice(2 * number, 2 * number + 2)
        (folder / name).write_bytes(pickle.dumps({"data": PIXELS[rows], "labels": LABELS[rows].tolist()}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CLASSES)}))
    pinned = [[name, hashlib.md5((folder / name).read_bytes()).hexdigest()] for name in names]
    meta = hashlib.md5((folder / "batches.meta").read_bytes()).hexdigest()
    monkeypatch.setattr(datasets.CIFAR10, "train_list", pinned[:5])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", pinned[5:])
    monkeypatch.setattr(datasets.CIFAR10, "meta", {**datasets.CIFAR10.meta, "md5": meta})
    return root


def write_binary(root: Path) -> Path:
    """The same images in the binary version."""
    folder = root / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    rows = np.concatenate([LABELS[:, None].astype(np.uint8), PIXELS], axis=1)
    for number, name in enumerate([f"data_batch_{n}.bin" for n in range(1, 6)] + ["test_batch.bin"]):
        (folder / name).write_bytes(rows[2 * number : 2 * number + 2].tobytes())
    (folder / "batches.meta.txt").write_text("\n".join(CLASSES) + "\n\n")
    return root


def test_cifar10_is_the_same_data_in_its_python_and_its_binary_version(tmp_path, monkeypatch):
    python = write_python(tmp_path / "a", monkeypatch)
    binary = write_binary(tmp_path / "b")
    places = [python, python / "cifar-10-batches-py", binary, binary / "cifar-10-batches-bin"]
    found = [open_dataset(f"torchvision:cifar10:{place}") for place in places]
    assert len({data.sha256 for data in found}) == 1 and {data.name for data in found} == {"cifar10"}
    assert found[0].classes == found[2].classes == CLASSES
    assert found[2].train_labels.tolist() == LABELS[:10].tolist()
    assert (found[2].test_images.numpy() == PIXELS[10:].reshape(2, 3, 32, 32)).all()


def test_a_pickle_that_is_not_the_published_one_is_refused_before_it_is_read(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    canary = tmp_path / "canary"
    hostile = b"cos\nsystem\n(S'touch %s'\ntR." % str(canary).encode()
    for name in ("data_batch_1", "test_batch", "batches.meta"):
        (folder / name).write_bytes(hostile)
    block = refused(f"torchvision:cifar10:{tmp_path}")
    assert "torchvision refuses the files" in block and not canary.exists()
    assert "do:    unpack the archive again" in block and "download" not in block  # which a folder never is


def test_cifar100s_binary_version_has_the_fine_labels(tmp_path):
    coarse_fine = np.stack([np.full(12, 19), LABELS], axis=1).astype(np.uint8)
    rows = np.concatenate([coarse_fine, PIXELS], axis=1)
    (tmp_path / "train.bin").write_bytes(rows[:9].tobytes())
    (tmp_path / "test.bin").write_bytes(rows[9:].tobytes())
    (tmp_path / "fine_label_names.txt").write_text("apple\naquarium_fish\nbaby\n")
    data = open_dataset(f"torchvision:cifar100:{tmp_path}")
    assert data.test_labels.tolist() == LABELS[9:].tolist() and data.classes[1] == "aquarium_fish"
    (tmp_path / "test.bin").write_bytes(rows[9:].tobytes()[:-1])
    assert "9,221 bytes are no rows of 3074" in refused(f"torchvision:cifar100:{tmp_path}")
    rows[10, 1] = 77
    (tmp_path / "test.bin").write_bytes(rows[9:].tobytes())
    assert "expected a label in 0..2; got 77" in refused(f"torchvision:cifar100:{tmp_path}")


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def write_mnist(root: Path, inside: str, joint: str, packed: bool) -> Path:
    (root / inside).mkdir(parents=True)
    for split, rows in (("train", slice(0, 20)), ("t10k", slice(20, 30))):
        images = np.random.default_rng(1).integers(0, 256, (30, 28, 28), np.uint8)[rows]
        for kind, array in (("images", images), ("labels", (np.arange(30) % 10).astype(np.uint8)[rows])):
            file = root / inside / f"{split}-{kind}{joint}idx{array.ndim}-ubyte{'.gz' if packed else ''}"
            file.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    return root


def test_mnist_is_the_same_data_however_it_was_unpacked(tmp_path, monkeypatch):
    layouts = [("MNIST/raw", "-", False), ("", "-", True), ("raw", ".", False)]
    roots = [write_mnist(tmp_path / str(number), *layout) for number, layout in enumerate(layouts)]
    found = [open_dataset(f"torchvision:mnist:{root}") for root in roots]
    assert len({data.sha256 for data in found}) == 1
    theirs = datasets.MNIST(str(roots[0]), train=False)
    assert (found[0].test_images[:, 0].numpy() == theirs.data.numpy()).all()
    assert (
        list(found[0].classes) == theirs.classes and found[0].test_labels.tolist() == theirs.targets.tolist()
    )

    (roots[2] / "raw/t10k-labels.idx1-ubyte").write_bytes(b"\0\0\x08\x01\0\0\0\x0a")
    assert "8 bytes are no IDX file of 1 dimensions" in refused(f"torchvision:mnist:{roots[2]}")
    packed = bytearray((roots[1] / "train-images-idx3-ubyte.gz").read_bytes())
    packed[10] = 0xFF  # no kind of block
    (roots[1] / "train-images-idx3-ubyte.gz").write_bytes(packed)
    assert "expected a whole file of the archive" in refused(f"torchvision:mnist:{roots[1]}")
    monkeypatch.setattr(official_folders, "MOST", 1000)
    bomb = gzip.compress(idx(np.zeros((20, 28, 28), np.uint8)))
    (roots[1] / "train-images-idx3-ubyte.gz").write_bytes(bomb)
    assert "more than 1,000 bytes unpacked" in refused(f"torchvision:mnist:{roots[1]}")
    assert "No such file" in refused(f"torchvision:fashionmnist:{roots[0]}")


def test_pets_are_decoded_with_our_limits_and_a_broken_one_is_named(tmp_path):
    base = tmp_path / "oxford-iiit-pet"
    for folder in ("images", "annotations"):
        (base / folder).mkdir(parents=True)
    for split, first in (("trainval", 0), ("test", 4)):
        names = [f"{'Beagle' if n % 2 else 'Abyssinian'}_{first + n}" for n in range(4)]
        lines = [f"{name} {1 + n % 2} 1 1" for n, name in enumerate(names)]
        (base / "annotations" / f"{split}.txt").write_text("\n".join(lines))
        for n, name in enumerate(names):
            picture(first + n, (20, 10)).save(base / "images" / f"{name}.jpg")
    data = open_dataset(f"torchvision:oxfordiiitpet:{tmp_path}", resolution=8)
    assert (data.classes, data.train_labels.tolist()) == (("Abyssinian", "Beagle"), [0, 1, 0, 1])
    (base / "images/Beagle_5.jpg").write_bytes(b"<html>")
    block = refused(f"torchvision:oxfordiiitpet:{base}")
    assert "the content is text" in block and f"where: {base}/images/Beagle_5.jpg" in block


def write_ilsvrc(root: Path) -> dict[str, str]:
    """Two classes in folders, and six validation images that lie in val itself -> their classes."""
    seed = 0
    for wnid in ("n01440764", "n01443537"):
        (root / "train" / wnid).mkdir(parents=True)
        for _ in range(2):
            (root / "train" / wnid / f"{wnid}_{seed}.JPEG").write_bytes(png(seed))
            seed += 1
    (root / "val").mkdir()
    truth = {}
    for n in range(6):
        name = f"ILSVRC2012_val_0000000{n}.JPEG"
        (root / "val" / name).write_bytes(png(100 + n))
        truth[name] = ("n01443537", "n01440764")[n % 2]
    return truth


def test_ilsvrc_opens_with_its_validation_images_sorted_or_beside_a_list_of_classes(tmp_path):
    roots = [tmp_path / name for name in ("sorted", "kaggle/ILSVRC/Data/CLS-LOC", "official")]
    truth, *_ = [write_ilsvrc(root) for root in roots]
    spec = f"torchvision:imagenet:{tmp_path}"
    assert "unpack ILSVRC2012_devkit_t12.tar.gz beside val" in refused(f"{spec}/official")
    for name, wnid in truth.items():
        (roots[0] / "val" / wnid).mkdir(exist_ok=True)
        (roots[0] / "val" / name).rename(roots[0] / "val" / wnid / name)
    rows = [f"{name.removesuffix('.JPEG')},{wnid} 1 2 3 4" for name, wnid in truth.items()]
    (tmp_path / "kaggle/LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *rows]))
    kit = roots[2] / "ILSVRC2012_devkit_t12/data"
    kit.mkdir(parents=True)
    synsets = np.array([(1, "n01443537", 0), (2, "n01440764", 0)], [("ID", "O"), ("WNID", "O"), ("n", "O")])
    savemat(kit / "meta.mat", {"synsets": synsets})
    (kit / "ILSVRC2012_validation_ground_truth.txt").write_text("1\n2\n1\n2\n1\n2\n")
    found = [open_dataset(f"{spec}/{name}") for name in ("sorted", "kaggle", "official")]
    assert len({data.sha256 for data in found}) == 1
    assert (
        found[0].classes == ("n01440764", "n01443537") and found[0].test_labels.tolist() == [0] * 3 + [1] * 3
    )
    (kit / "ILSVRC2012_validation_ground_truth.txt").write_text("1\n2\n")
    assert "6 images where the kit has 2 classes" in refused(f"{spec}/official")


def test_a_folder_that_holds_no_such_set_says_what_was_looked_for(tmp_path):
    block = refused(f"torchvision:cifar10:{tmp_path}")
    assert "expected cifar-10-batches-py or cifar-10-batches-bin" in block and f"where: {tmp_path}\n" in block
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"")
    assert "unpack cifar-10-python.tar.gz there first" in refused(f"torchvision:cifar10:{tmp_path}")
    (tmp_path / "annotations").mkdir()  # as the archives of the pets leave it
    assert "give this folder the name oxford-iiit-pet" in refused(f"torchvision:oxfordiiitpet:{tmp_path}")
    assert "train_32x32.mat and test_32x32.mat" in refused(f"torchvision:svhn:{tmp_path}")
    assert "did you mean 'cifar10'" in refused(f"torchvision:cifar:{tmp_path}", USAGE)
    assert "torchvision:NAME:DIR" in refused("torchvision:cifar10", USAGE)


def test_the_identity_of_a_set_does_not_depend_on_its_folder():
    assert {name_of(f"torchvision:{name}:/somewhere/{name}-copy") for name in ON_DISK} == set(ON_DISK)


def md5(file: Path) -> str:
    return hashlib.md5(file.read_bytes()).hexdigest()


def test_svhn_opens_as_published_with_ten_as_zero(tmp_path, monkeypatch):
    """Its files are MATLAB's: images (32, 32, 3, n), labels 1..10."""
    pixels, labels = PIXELS.reshape(12, 3, 32, 32), np.array([10, 1, 2] * 4)
    lists = {}
    for split, rows in (("train", slice(0, 8)), ("test", slice(8, 12))):
        file = tmp_path / f"{split}_32x32.mat"
        savemat(file, {"X": pixels[rows].transpose(2, 3, 1, 0), "y": labels[rows, None].astype(np.uint8)})
        lists[split] = ["", file.name, md5(file)]
    monkeypatch.setattr(datasets.SVHN, "split_list", lists)
    data = open_dataset(f"torchvision:svhn:{tmp_path}")
    assert (data.train_images.numpy() == pixels[:8]).all() and (data.test_images.numpy() == pixels[8:]).all()
    assert data.test_labels.tolist() == [2, 0, 1, 2] and data.classes == ("0", "1", "2")
    (tmp_path / "test_32x32.mat").write_bytes(b"MATLAB 5.0")
    assert "torchvision refuses the files" in refused(f"torchvision:svhn:{tmp_path}")


def test_stl10_opens_as_published_with_its_images_upright(tmp_path, monkeypatch):
    """Its files hold columns before rows, labels 1..10; images without labels lie beside them."""
    base = tmp_path / "stl10_binary"
    base.mkdir()
    pixels = np.random.default_rng(2).integers(0, 256, (6, 3, 96, 96), np.uint8)
    parts = {
        "train_X.bin": pixels[:4].transpose(0, 1, 3, 2), "train_y.bin": np.array([1, 2, 3, 1], np.uint8),
        "unlabeled_X.bin": pixels[:1], "test_X.bin": pixels[4:].transpose(0, 1, 3, 2),
        "test_y.bin": np.array([3, 2], np.uint8),
    }  # fmt: skip
    for name, array in parts.items():
        (base / name).write_bytes(np.ascontiguousarray(array).tobytes())
    (base / "class_names.txt").write_text("\n".join(CLASSES) + "\n")
    pinned = [[name, md5(base / name)] for name in parts]
    monkeypatch.setattr(datasets.STL10, "train_list", pinned[:3])
    monkeypatch.setattr(datasets.STL10, "test_list", pinned[3:])
    for place in (tmp_path, base):
        data = open_dataset(f"torchvision:stl10:{place}")
        assert (data.train_images.numpy() == pixels[:4]).all()
        assert (data.classes, data.test_labels.tolist()) == (CLASSES, [2, 1])


def test_flowers_open_as_published_with_labels_from_one(tmp_path, monkeypatch):
    """JPEGs, and MATLAB's lists of their labels 1..102 and of the images of each split."""
    base = tmp_path / "flowers-102"
    (base / "jpg").mkdir(parents=True)
    for n in range(1, 105):
        picture(n, (20, 10)).save(base / "jpg" / f"image_{n:05d}.jpg")
    savemat(base / "imagelabels.mat", {"labels": [[*range(102, 0, -1), 1, 102]]})
    savemat(base / "setid.mat", {"trnid": [[*range(1, 103)]], "valid": [[1]], "tstid": [[103, 104]]})
    files = {"label": "imagelabels.mat", "setid": "setid.mat"}
    pinned = {key: (name, md5(base / name)) for key, name in files.items()}
    monkeypatch.setattr(datasets.Flowers102, "_file_dict", datasets.Flowers102._file_dict | pinned)
    data = open_dataset(f"torchvision:flowers102:{tmp_path}", resolution=8)
    assert data.train_labels.tolist() == list(range(101, -1, -1)) and data.test_labels.tolist() == [0, 101]
    assert data.classes[0] == "pink primrose" and data.train_images.shape == (102, 3, 8, 8)
    (base / "jpg" / "image_00104.jpg").write_bytes(b"<html>")
    block = refused(f"torchvision:flowers102:{base}")
    assert "the content is text" in block and f"where: {base}/jpg/image_00104.jpg" in block
