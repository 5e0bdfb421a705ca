"""torchvision's sets, with classes that stand for the real ones; nothing is downloaded."""

import numpy as np
import pytest

datasets = pytest.importorskip("torchvision.datasets")

from fairtrial.data import open_dataset  # noqa: E402
from fairtrial.data.torchvision_sets import DOWNLOADS  # noqa: E402
from fairtrial.errors import BAD_INPUT, Fault  # noqa: E402
from fairtrial.study.data_spec import TORCHVISION  # noqa: E402
from tests.data.making import picture  # noqa: E402


class Fake:
    """As torchvision's: needs its files under root, writes them when asked to download."""

    classes = ("cat", "dog", "emu")
    opened: list = []  # noqa: RUF012

    def __init__(self, root, *, download=False, **chosen):
        from pathlib import Path

        self.opened.append((download, chosen))
        file = Path(root) / "base" / "data.bin"
        if download:
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(b"pixels")
        if not file.exists():
            raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")
        train = chosen.get("train", str(chosen.get("split")).startswith("train"))
        self.targets = [0, 1, 2, 0, 1, 2] if train else [2, 1]
        self.first = 0 if train else 50

    def __getitem__(self, row):
        return picture(self.first + row), self.targets[row]


class Unnamed(Fake):
    """As SVHN: labels in an array, no class names."""

    classes = None

    def __init__(self, root, **options):
        super().__init__(root, **options)
        self.labels = np.array(self.targets)
        del self.targets

    def __getitem__(self, row):
        return picture(self.first + row), self.labels[row]


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    Fake.opened = []
    for name, row in TORCHVISION.items():
        monkeypatch.setattr(datasets, row.dataset, Unnamed if name == "svhn" else Fake)
        monkeypatch.setitem(DOWNLOADS, name, {})


def test_a_missing_set_says_how_to_get_it(cache_home):
    with pytest.raises(Fault) as caught:
        open_dataset("cifar10")
    (problem,) = caught.value.problems
    assert caught.value.code == BAD_INPUT
    assert "--download" in problem.do
    assert problem.where == str(cache_home / "fairtrial" / "torchvision" / "cifar10")
    assert Fake.opened == []  # nothing was tried


@pytest.mark.parametrize("name", TORCHVISION)
def test_every_set_of_the_table_opens_after_a_download(name):
    data = open_dataset(name, download=True)
    assert data.name == name
    assert data.train_labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert data.test_labels.tolist() == [2, 1]
    assert data.classes == (("0", "1", "2") if name == "svhn" else ("cat", "dog", "emu"))
    assert (data.train_images[1].numpy() == np.asarray(picture(1)).transpose(2, 0, 1)).all()
    chosen = [(download, options) for download, options in Fake.opened if not download]
    assert chosen == [(False, TORCHVISION[name].train), (False, TORCHVISION[name].test)]


def test_a_set_that_is_here_opens_without_asking_for_a_download():
    fetched = open_dataset("cifar10", download=True)
    Fake.opened.clear()
    assert open_dataset("cifar10").sha256 == fetched.sha256
    assert Fake.opened == []  # the decoded images came from the cache


def test_a_changed_file_is_read_again(cache_home):
    open_dataset("cifar10", download=True)
    Fake.opened.clear()
    (cache_home / "fairtrial" / "torchvision" / "cifar10" / "base" / "data.bin").write_bytes(b"other")
    open_dataset("cifar10")
    assert Fake.opened


def test_a_download_that_torchvision_refuses_says_so(monkeypatch):
    def refuse(*args, **options):
        raise OSError("no such member")

    monkeypatch.setattr(datasets, "CIFAR10", refuse)
    with pytest.raises(Fault, match="torchvision refuses what was downloaded: no such member"):
        open_dataset("cifar10", download=True)


def test_files_that_torchvision_refuses_say_so(cache_home):
    stray = cache_home / "fairtrial" / "torchvision" / "cifar10" / "notes.txt"
    stray.parent.mkdir(parents=True)
    stray.write_text("not the data")
    with pytest.raises(Fault, match="torchvision refuses the files: Dataset not found"):
        open_dataset("cifar10")
