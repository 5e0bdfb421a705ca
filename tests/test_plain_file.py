"""What stands in a file's place is refused at once: no reader waits for a pipe, or reads a device."""

import errno
import os
import socket
import time

import pytest

from fairtrial.errors import Fault
from fairtrial.plain_file import open_file, read_file
from fairtrial.storage.atomic import read_json


def pipe(path):
    os.mkfifo(path)


def bound(path):
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(os.path.relpath(path))


PLACED = {
    "a named pipe": pipe,
    "a folder": lambda path: path.mkdir(),
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a socket": bound,
}


@pytest.mark.parametrize("kind", PLACED)
def test_what_is_no_file_is_refused_at_once(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.json"
    PLACED[kind](path)
    began = time.monotonic()
    for opened in (open_file, lambda path: read_file(path, 10)):
        with pytest.raises(OSError, match=f"{kind}, not a file"):
            opened(path)
    with pytest.raises(Fault, match=f"could not read: {kind}, not a file") as refused:
        read_json(path)
    assert (refused.value.code, refused.value.problems[0].where) == (3, str(path))
    assert time.monotonic() - began < 2


def test_links_that_lead_nowhere_and_names_that_are_none_say_so(tmp_path):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(OSError, match="symbolic links") as refused:
        open_file(loop)
    assert refused.value.errno == errno.ELOOP
    with pytest.raises(OSError, match="its name is none: embedded null byte"):
        open_file(tmp_path / "a\0b")
    with pytest.raises(FileNotFoundError):
        open_file(tmp_path / "absent")


def test_no_more_is_read_than_is_allowed(tmp_path):
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(OSError, match="1,099,511,627,776 bytes where at most 64 are expected"):
        read_file(path, 64)
    path.write_bytes(b"x" * 64)
    assert read_file(path, 64) == b"x" * 64
