"""Classes and their sizes before a run: by names, footers and labels, without an image."""

import pytest

from fairtrial.data import image_folder, open_dataset
from fairtrial.data.class_counts import SMALLEST, class_counts, shortage
from tests.data.making import write_folder, write_parquet


def test_the_smallest_class_of_published_sets_is_that_of_the_images(real_data):
    assert int(open_dataset("digits", resolution=8).train_labels.bincount().min()) == SMALLEST["digits"]
    cifar = f"parquet:{real_data / 'cifar10'}"
    counts = class_counts(cifar)
    assert [*counts.values()] == [SMALLEST["cifar10"]] * 10
    told = [problem.what for problem in shortage(cifar, counts, 100_000, 2)]
    assert len(told) == 10 and "needs 100002 images of class 'airplane'; the training split" in told[0]
    assert not shortage(cifar, counts, None, 2)


def test_many_images_and_archives_are_not_counted(tmp_path, monkeypatch):
    spec = f"folder:{write_folder(tmp_path / 'pets')}"
    monkeypatch.setattr(image_folder, "MOST", 5)
    assert class_counts(spec) == {}
    monkeypatch.setattr(image_folder, "MOST", 6)
    assert class_counts(spec) == {"cat": 3, "dog": 3}
    (tmp_path / "pets.zip").write_bytes(b"PK")
    assert class_counts(f"folder:{tmp_path / 'pets.zip'}") == {}


def test_no_image_is_read(tmp_path):
    """Bytes that are no image are found when the data is opened."""
    folder = write_folder(tmp_path / "pets")
    for file in folder.rglob("*.png"):
        file.write_bytes(b"")
    assert class_counts(f"folder:{folder}") == {"cat": 3, "dog": 3}
    bad = {("train", 0): b"no image"}
    rows = write_parquet(tmp_path / "rows", ([1, 2, 1, 2, 2], [1, 2]), images=bad)
    assert class_counts(f"parquet:{rows}") == {"1": 2, "2": 3}


@pytest.mark.parametrize(("spec", "counts"), [("folder:/nowhere", {}), ("torchvision:mnist:/x", {"": 5421})])
def test_what_is_not_here_is_not_looked_at(spec, counts):
    assert class_counts(spec) == counts


def test_of_a_folder_of_the_users_the_published_count_says_nothing(tmp_path):
    """A part of ImageNet has classes of any size."""
    assert class_counts(f"torchvision:imagenet:{tmp_path}") == {}
