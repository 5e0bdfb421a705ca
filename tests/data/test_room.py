"""Sets that are larger than the memory, and disks that are too small for one."""

import resource
import subprocess
import sys

import numpy as np
import pytest

from fairtrial.data import decoded_cache, image_folder, open_dataset, room
from fairtrial.data.class_counts import PUBLISHED, image_counts
from fairtrial.errors import RESOURCES, Fault
from tests.data.making import write_folder, write_parquet


@pytest.fixture
def pets(tmp_path):
    return write_folder(tmp_path / "pets")


def test_large_images_are_decoded_into_a_file_and_are_the_same(pets, cache_home, monkeypatch):
    own = image_folder.source(pets).build(16)
    monkeypatch.setattr(room, "LARGE", 1000)
    arrays, digest = decoded_cache.through(image_folder.source(pets), 16)
    assert digest == own.sha256() and (arrays.train_images == own.train_images).all()
    (entry,) = (cache_home / "fairtrial" / "images").glob("*.npy")
    assert arrays.train_images.filename == entry  # that of the cache, not the nameless one
    assert len(list(entry.parent.iterdir())) == 2 and not arrays.train_images.flags.writeable
    open_dataset(f"folder:{pets}", resolution=16)  # a warning of torch would be an error


WITHIN = """
import resource, sys, warnings
warnings.simplefilter("error")
from fairtrial.data import open_dataset, room
open_dataset("digits")
held = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData")) << 10
room.LARGE, allowed = int(sys.argv[2]), held + (160 << 20)
resource.setrlimit(resource.RLIMIT_DATA, (allowed, resource.RLIM_INFINITY))
try:
    print(open_dataset(f"folder:{sys.argv[1]}", resolution=512).sha256)
except MemoryError:
    print("no memory")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does")
def test_a_set_larger_than_the_memory_opens(tmp_path):
    """400 images of 0.8 MB where 160 MB are free; held in memory they do not fit."""
    pets = write_folder(tmp_path / "many", train=100, test=100)
    for large, opens in ((10**9, False), (2**26, True)):
        told = subprocess.run(
            [sys.executable, "-c", WITHIN, str(pets), str(large)], check=True, capture_output=True, text=True
        ).stdout.strip()
        assert (told != "no memory") == opens, told
    assert told == open_dataset(f"folder:{pets}", resolution=512).sha256


def test_a_disk_without_room_is_refused_before_an_image_is_kept(pets, cache_home, monkeypatch):
    monkeypatch.setattr(room, "LARGE", 1000)
    monkeypatch.setattr(room, "free_in_cache", lambda: 60_000)
    with pytest.raises(Fault) as told:
        open_dataset(f"folder:{pets}", resolution=64)
    assert told.value.code == RESOURCES
    assert "10 images of 64x64 pixels take 0.1 MB decoded, twice that" in told.value.block()
    assert f"where: {cache_home}/fairtrial/images" in told.value.block()


def test_zeros_take_memory_where_they_are_written_to(monkeypatch):
    shape = (1000, 3, 2**10, 2**10)
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (2**31, hard))
    try:
        table = room.sparse(shape)
        with pytest.raises(MemoryError):
            np.zeros(shape, np.uint8)
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    table[7] = 1
    assert table[7].all() and not table[8].any()


def test_images_are_counted_by_names_and_footers(tmp_path, pets, real_data):
    rows = write_parquet(tmp_path / "rows", ([0, 1, 1], [1, 0]))
    assert image_counts(f"folder:{pets}") == (6, 4) and image_counts(f"parquet:{rows}") == (3, 2)
    assert image_counts(f"parquet:{real_data / 'cifar10'}") == PUBLISHED["cifar10"]
    digits = open_dataset("digits")
    assert image_counts("digits") == (len(digits.train_labels), len(digits.test_labels))
    assert image_counts("torchvision:mnist:/nowhere") == (60_000, 10_000)
    wnid = write_folder(tmp_path / "ilsvrc" / "ILSVRC/Data/CLS-LOC")
    (wnid / "test").rename(wnid / "val")
    assert image_counts(f"torchvision:imagenet:{tmp_path / 'ilsvrc'}") == (6, 4)
    (tmp_path / "pets.zip").write_bytes(b"PK")
    for unknown in (f"folder:{tmp_path / 'pets.zip'}", "folder:/nowhere", f"torchvision:imagenet:{tmp_path}"):
        assert image_counts(unknown) is None
