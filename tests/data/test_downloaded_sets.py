"""Files that came whole become a set once all of it is there, or are refused by name. D14."""

from __future__ import annotations

import pytest
from torchvision import datasets

from fairtrial.data import open_dataset
from fairtrial.data.torchvision_sets import DOWNLOADS
from tests.data.making import encoded, picture
from tests.data.served_sets import TRAIN, failed, left, md5, not_here, packed


@pytest.fixture
def pets(shelf, server, monkeypatch):
    """torchvision's pets with two small archives on the server."""
    names = ["Cat_1", "Cat_2", "dog_1", "dog_2"]
    images = {f"images/{n}.jpg": encoded(picture(i), "JPEG") for i, n in enumerate(names)}
    train, test = "Cat_1 1 1 1\ndog_1 2 2 1\n", "Cat_2 1 1 1\ndog_2 2 2 1\n"
    lists = {"annotations/trainval.txt": train.encode(), "annotations/test.txt": test.encode()}
    shelf.bodies = {"images.tar.gz": packed(images), "annotations.tar.gz": packed(lists)}
    digests = {name: md5(body) for name, body in shelf.bodies.items()}
    rows = tuple((server + name, digest) for name, digest in digests.items())
    monkeypatch.setattr(datasets.OxfordIIITPet, "_RESOURCES", rows)
    files = {f"oxford-iiit-pet/{name}": (server, digest) for name, digest in digests.items()}
    monkeypatch.setitem(DOWNLOADS, "oxfordiiitpet", files)


def test_a_set_that_is_half_unpacked_is_not_believed(pets, home, shelf):  # D14
    """torchvision takes these pets for whole when their two folders are there."""
    whole = open_dataset("oxfordiiitpet", download=True)
    assert whole.test_labels.tolist() == [0, 1]
    (home / "oxfordiiitpet").rename(home / "oxfordiiitpet.part")
    lists = home / "oxfordiiitpet.part" / "oxford-iiit-pet" / "annotations"
    (lists / "test.txt").write_text("Cat_2 1 1 1\n")
    assert not_here("oxfordiiitpet")
    shelf.asked.clear()
    assert open_dataset("oxfordiiitpet", download=True).sha256 == whole.sha256
    assert shelf.asked == []  # both archives were whole


def test_the_archive_of_a_set_is_checked_before_it_is_unpacked(pets, home, shelf):  # D14
    expected = md5(shelf.bodies["annotations.tar.gz"])
    shelf.bodies["annotations.tar.gz"] = packed({"annotations/trainval.txt": b"Cat_1 1 1 1\n"})
    problem = failed("oxfordiiitpet")
    assert f"expected {expected}, got {md5(shelf.bodies['annotations.tar.gz'])}" in problem.what
    assert left(home) == ["oxfordiiitpet.part/oxford-iiit-pet/images.tar.gz"]


def test_files_of_a_person_are_left_alone(svhn, home, shelf):
    """A folder that holds something else than the set: a Fault, and no file of it is touched."""
    (home / "svhn").mkdir(parents=True)
    (home / "svhn" / TRAIN).write_bytes(b"cut by an older fairtrial")
    problem = failed()
    assert "torchvision refuses the files" in problem.what and "move this folder away" in problem.do
    assert (home / "svhn" / TRAIN).read_bytes() == b"cut by an older fairtrial"
    assert shelf.asked == []


def test_the_table_holds_the_addresses_and_digests_of_torchvision():
    """So that what is fetched is what torchvision takes; it fails when a new torchvision has other files."""
    own = {name: {d.filename: (d.url, d.tgz_md5)} for name, d in packed_sets().items()}
    splits = [datasets.SVHN.split_list[split] for split in ("train", "test")]
    own["svhn"] = {file: (url, digest) for url, file, digest in splits}
    at, flowers = datasets.Flowers102._download_url_prefix, datasets.Flowers102._file_dict.values()
    own["flowers102"] = {f"flowers-102/{file}": (f"{at}{file}", digest) for file, digest in flowers}
    pets = datasets.OxfordIIITPet._RESOURCES
    own["oxfordiiitpet"] = {f"oxford-iiit-pet/{url.rpartition('/')[2]}": (url, d) for url, d in pets}
    table = {
        name: {file: (base + file.rpartition("/")[2], digest) for file, (base, digest) in files.items()}
        for name, files in DOWNLOADS.items()
    }
    assert own == table


def packed_sets():
    return {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100, "stl10": datasets.STL10}
