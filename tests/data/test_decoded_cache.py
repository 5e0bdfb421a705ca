"""Decoded images on disk: found again, shared, mended, and never needed."""

import json
import logging
import os
import subprocess
import sys

import numpy as np
import pytest

from fairtrial.data import decoded_cache, image_folder
from fairtrial.data.split_arrays import Source
from fairtrial.storage.integrity import sealed
from tests.data.making import at_once, png, write_folder


@pytest.fixture
def source(tmp_path):
    return image_folder.source(write_folder(tmp_path / "pets"))


@pytest.fixture
def entry(source, cache_home):
    """The one entry after a first opening."""
    decoded_cache.through(source, None)
    (file,) = (cache_home / "fairtrial" / "images").glob("*.npy")
    return file


def built(source):
    """The source, and a list that grows each time it is decoded."""
    calls = []
    return Source(
        source.stamp, lambda resolution: (calls.append(resolution), source.build(resolution))[1]
    ), calls


def same(a, b):
    pairs = [
        (getattr(a, name), getattr(b, name))
        for name in ("train_images", "train_labels", "test_images", "test_labels")
    ]
    return all(np.array_equal(x, y) for x, y in pairs) and (a.classes, a.notes) == (b.classes, b.notes)


def test_the_second_opening_does_not_decode(source):
    counted, calls = built(source)
    first, first_digest = decoded_cache.through(counted, None)
    second, second_digest = decoded_cache.through(counted, None)
    assert calls == [None]
    assert same(first, second)
    assert first_digest == second_digest == first.sha256()


def test_another_resolution_is_another_entry(source):
    counted, calls = built(source)
    assert decoded_cache.through(counted, 4)[0].train_images.shape[2:] == (4, 4)
    assert decoded_cache.through(counted, 6)[0].train_images.shape[2:] == (6, 6)
    assert calls == [4, 6]


def test_another_decoder_is_another_entry(source, monkeypatch):
    counted, calls = built(source)
    decoded_cache.through(counted, None)
    monkeypatch.setattr(decoded_cache, "DECODER", "another Pillow")
    decoded_cache.through(counted, None)
    assert len(calls) == 2


def test_a_changed_source_is_another_entry(source, tmp_path):
    first, _ = decoded_cache.through(source, None)
    (tmp_path / "pets" / "train" / "cat" / "0.png").write_bytes(png(99))
    second, _ = decoded_cache.through(image_folder.source(tmp_path / "pets"), None)
    assert not same(first, second)


def test_loaded_images_are_mapped_and_writing_to_them_changes_no_file(source, entry):
    before = entry.read_bytes()
    arrays, _ = decoded_cache.through(source, None)
    assert isinstance(arrays.train_images, np.memmap)
    arrays.train_images[:] = 0
    arrays.train_images.flush()
    assert entry.read_bytes() == before


@pytest.mark.parametrize("kind", ["npy", "json"])
@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "text", "swapped"])
def test_a_damaged_entry_is_noticed_and_mended(source, entry, kind, damage, caplog):
    file = entry.with_suffix(f".{kind}")
    good = file.read_bytes()
    bad = {
        "empty": b"",
        "cut": good[:-1],
        "flipped": good[:200] + bytes([good[200] ^ 1]) + good[201:],
        "text": b"not what it was",
        "swapped": good[:-2] + good[-1:] + good[-2:-1] if good[-1] != good[-2] else good[:-1] + b"\x00",
    }[damage]
    file.write_bytes(bad)
    counted, calls = built(source)
    with caplog.at_level(logging.WARNING):
        arrays, digest = decoded_cache.through(counted, None)
    assert calls == [None]
    assert "damaged" in caplog.text and str(entry.stem) in caplog.text
    assert digest == arrays.sha256()
    assert file.read_bytes() == good


def test_an_entry_of_objects_is_never_unpickled(source, entry, tmp_path):
    class Canary:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "canary"),)

    np.save(entry, np.array([Canary()]), allow_pickle=True)
    decoded_cache.through(source, None)
    assert not (tmp_path / "canary").exists()


def test_labels_in_a_forged_record_are_noticed(source, entry):
    record = json.loads(entry.with_suffix(".json").read_bytes())
    record["train_labels"][0] = 1
    del record["sha256"]
    entry.with_suffix(".json").write_text(sealed(record))
    assert decoded_cache.through(source, None)[0].train_labels[0] == 0


def test_a_half_written_entry_is_no_entry(source, entry):
    """The images are published first: a process that died between the two files left no record."""
    entry.with_suffix(".json").unlink()
    counted, calls = built(source)
    decoded_cache.through(counted, None)
    assert calls == [None]
    assert entry.with_suffix(".json").exists()


@pytest.mark.parametrize("obstacle", ["file", "read-only", "no home"])
def test_without_a_writable_folder_it_works_uncached(source, cache_home, obstacle, monkeypatch):
    if obstacle == "file":
        cache_home.write_text("in the way")
    elif obstacle == "no home":
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setattr(
            decoded_cache.Path, "expanduser", lambda self: (_ for _ in ()).throw(RuntimeError("no home"))
        )
    else:  # root writes anywhere, so the refusal is played
        plain = os.open

        def refuse(path, flags, *rest, **named):
            if flags & (os.O_WRONLY | os.O_RDWR):
                raise PermissionError(13, "no")
            return plain(path, flags, *rest, **named)

        monkeypatch.setattr(os, "open", refuse)
    counted, calls = built(source)
    first, _ = decoded_cache.through(counted, None)
    second, _ = decoded_cache.through(counted, None)
    assert len(calls) == 2
    assert same(first, second)


def test_a_full_disk_leaves_no_file_behind(source, cache_home, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    decoded_cache.through(source, None)
    assert list((cache_home / "fairtrial" / "images").iterdir()) == []


def test_a_relative_cache_home_is_ignored_as_the_specification_asks(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert decoded_cache.folder() == tmp_path / ".cache" / "fairtrial"


def test_two_processes_that_build_one_entry_both_end_well(tmp_path, cache_home):
    """Both decode behind the same starting gun; one more opening then decodes nothing."""
    path = write_folder(tmp_path / "pets", train=40)
    before = "from fairtrial.data import decoded_cache, image_folder; source = image_folder.source(path)"
    digests = at_once(2, before, "decoded_cache.through(source, 64)[1]", path)
    counted, calls = built(image_folder.source(path))
    assert {decoded_cache.through(counted, 64)[1]} == digests
    assert calls == []
    assert not list((cache_home / "fairtrial" / "images").glob(".fairtrial-*"))


def test_opening_does_not_import_torch_or_torchvision():
    code = (
        "import sys\n"
        "from fairtrial.data import decoded_cache, image_folder, parquet, torchvision_sets, few_shot\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
