"""Unpacking into the cache: kills, links, a full disk, processes that take turns."""

import errno
import os
import shutil

import pytest

from fairtrial.data import archive, open_dataset
from fairtrial.errors import RESOURCES, Fault
from tests.data.archives import archives, entry, everything, failed, write, write_tar
from tests.data.making import at_once, png, write_folder

pytestmark = pytest.mark.usefixtures("without_the_unpackers_of_python")


def test_modes_of_the_archive_are_not_applied(tmp_path):
    path = write_tar(tmp_path / "pets.tar", [entry("train/cat/1.png", png(8), mode=0o000)])
    assert (archive.unpacked(path) / "train" / "cat" / "1.png").stat().st_mode & 0o777 == 0o666 & ~umask()


def umask():
    old = os.umask(0)
    os.umask(old)
    return old


def part_of(path, cache_home):
    """Where an archive would be unpacked to, before it has its name."""
    whole = archive.unpacked(path)
    part = whole.with_name(f"{whole.name}.part")
    whole.rename(part)
    return part


def test_what_a_killed_process_left_is_begun_anew(tmp_path, cache_home):
    path = write(tmp_path / "pets.zip")
    part = part_of(path, cache_home)
    (part / "train" / "dog" / "left.png").write_bytes(png(50))
    assert len(open_dataset(f"folder:{path}").train_images) == 2
    assert not part.exists()


def test_a_planted_link_is_not_followed(tmp_path, cache_home):
    path = write(tmp_path / "pets.zip")
    part = part_of(path, cache_home)
    precious = write_folder(tmp_path / "precious")
    shutil.rmtree(part)
    part.symlink_to(precious)
    before = everything(precious)
    assert len(open_dataset(f"folder:{path}").train_images) == 2
    assert everything(precious) == before
    assert not archive.unpacked(path).is_symlink()


def test_links_below_a_part_are_deleted_and_not_followed(tmp_path, cache_home):
    path = write(tmp_path / "pets.zip")
    part = part_of(path, cache_home)
    precious = write_folder(tmp_path / "precious")
    (part / "train" / "more").symlink_to(precious)
    (part / "train" / "one.png").symlink_to(precious / "train" / "cat" / "0.png")
    assert len(open_dataset(f"folder:{path}").train_images) == 2
    assert len(everything(precious)) == 16


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, cache_home, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archive.shutil, "copyfileobj", full)
    path = write(tmp_path / "pets.zip")
    assert "No space left on device" in failed(path, RESOURCES).problems[0].what
    assert archives(cache_home) == []


def test_a_cache_that_cannot_be_written_is_said(tmp_path, cache_home):
    cache_home.write_text("in the way")
    with pytest.raises(Fault, match="could not write") as caught:
        open_dataset(f"folder:{write(tmp_path / 'pets.zip')}")
    assert caught.value.code == RESOURCES


def test_an_interrupt_leaves_nothing(tmp_path, cache_home, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(archive.shutil, "copyfileobj", interrupt)
    with pytest.raises(KeyboardInterrupt):
        open_dataset(f"folder:{write(tmp_path / 'pets.zip')}")
    assert archives(cache_home) == []


def test_processes_that_unpack_one_archive_take_turns(tmp_path, cache_home):
    files = {
        f"{split}/cat/{n}.png": png(n + 1000 * (split == "test"))
        for split in ("train", "test")
        for n in range(150)
    }
    path = write(tmp_path / "pets.tgz", files)
    found = at_once(3, "from fairtrial.data import archive", "archive.unpacked(path)", path)
    assert found == {str(archive.unpacked(path))}
