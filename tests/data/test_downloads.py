"""Downloads of torchvision's sets from a server on this machine: whole, wrong, broken off. D14."""

from __future__ import annotations

import contextlib
import errno
import subprocess
import sys

import pytest

from fairtrial.data import open_dataset
from fairtrial.errors import RESOURCES
from fairtrial.storage import download
from tests.data.served_sets import TEST, TRAIN, failed, left, md5, not_here


def test_a_download_arrives_under_its_name_and_nothing_else_is_left(svhn, home, shelf):
    data = open_dataset("svhn", download=True)
    assert data.train_labels.tolist() == [1, 2, 0, 1, 2, 0]
    assert data.test_labels.tolist() == [2, 0, 1]
    assert left(home) == [f"svhn/{TEST}", f"svhn/{TRAIN}"]
    shelf.asked.clear()
    assert open_dataset("svhn", download=True).sha256 == data.sha256
    assert shelf.asked == []


def test_a_checksum_that_differs_is_said_with_expected_and_got(svhn, home, shelf):  # D14
    expected, shelf.bodies[TRAIN] = md5(shelf.bodies[TRAIN]), b"<html>moved</html>"
    problem = failed()
    assert f"md5 of {TRAIN} (18 bytes): expected {expected}, got {md5(b'<html>moved</html>')}" in problem.what
    assert problem.where == str(home / "svhn")
    assert left(home) == [] and not_here()


def test_a_transfer_that_is_cut_is_continued_by_the_next_one(svhn, home, shelf):  # D14
    shelf.stop_after[TRAIN] = 1000
    problem = failed(code=RESOURCES)
    assert f"1,000 of {len(shelf.bodies[TRAIN]):,} bytes came" in problem.what and TRAIN in problem.where
    assert left(home) == [f"svhn.part/{TRAIN}.part", f"svhn.part/{TRAIN}.part.json"] and not_here()
    shelf.stop_after.clear()
    assert len(open_dataset("svhn", download=True).train_images) == 6
    assert left(home) == [f"svhn/{TEST}", f"svhn/{TRAIN}"]


def test_a_file_that_came_whole_is_kept_in_the_part_and_not_fetched_twice(svhn, home, shelf):  # D14
    expected, shelf.bodies[TEST] = shelf.bodies[TEST], b"<html>moved</html>"
    assert f"md5 of {TEST} (18 bytes)" in failed().what
    assert left(home) == [f"svhn.part/{TRAIN}"] and not_here()
    shelf.bodies[TEST] = expected
    shelf.asked.clear()
    assert len(open_dataset("svhn", download=True).test_images) == 3
    assert shelf.asked == [TEST]
    assert left(home) == [f"svhn/{TEST}", f"svhn/{TRAIN}"]


def test_files_laid_into_the_part_by_hand_need_no_network(svhn, home, shelf):
    (home / "svhn.part").mkdir(parents=True)
    for name, body in shelf.bodies.items():
        (home / "svhn.part" / name).write_bytes(body)
    shelf.bodies = {}
    assert len(open_dataset("svhn", download=True).train_images) == 6


PATCHED = """
import sys
from fairtrial.data import open_dataset
from fairtrial.data.torchvision_sets import DOWNLOADS
server, one, two = sys.argv[1:]
DOWNLOADS["svhn"] = {"train_32x32.mat": (server, one), "test_32x32.mat": (server, two)}
open_dataset("svhn", download=True)
"""


def test_a_killed_download_leaves_only_a_part_which_nobody_believes(svhn, home, shelf, server):  # D14
    shelf.stop_after[TRAIN], shelf.hang = 1000, True
    command = [sys.executable, "-c", PATCHED, server, svhn["train"][2], svhn["test"][2]]
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    part = f"svhn.part/{TRAIN}.part"
    try:
        for _ in range(600):
            if part in left(home):
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(0.1)
                pytest.fail("the download ended by itself")
    finally:
        child.kill()
        child.wait()
    assert left(home) == [part, f"{part}.json"] and not_here()
    shelf.stop_after.clear()
    assert len(open_dataset("svhn", download=True).train_images) == 6
    assert left(home) == [f"svhn/{TEST}", f"svhn/{TRAIN}"]


def test_a_server_that_falls_silent_is_not_waited_for(svhn, home, shelf, monkeypatch):  # D14
    monkeypatch.setattr(download, "TIMEOUT_S", 0.3)
    shelf.stop_after[TRAIN], shelf.hang = 1000, True
    assert "timed out" in failed(code=RESOURCES).what
    assert not_here()


def test_no_such_file_on_the_server_is_said(svhn, home, shelf):  # D14
    shelf.bodies = {}
    assert "the server answers 404 Not Found" in failed(code=RESOURCES).what
    assert left(home) == []


def test_a_full_disk_has_its_own_exit_code(svhn, home, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "open_part", full)
    problem = failed(code=RESOURCES)
    assert "No space left on device" in problem.what and "free some space" in problem.do
