"""What stands in a file's place is refused at once: no reader waits for a pipe, or reads a device."""

import errno
import os
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from fairtrial.data.archive import unpacked
from fairtrial.data.decoded_cache import through
from fairtrial.data.index_file import read_indices
from fairtrial.data.split_arrays import Arrays, Source
from fairtrial.errors import Fault
from fairtrial.plain_file import open_file, read_file
from fairtrial.regression import baseline, history
from fairtrial.reporting.results.shared_runs import of_summary
from fairtrial.reporting.results.timings import read_file as read_timings
from fairtrial.storage.atomic import read_json
from fairtrial.storage.calibrations import read_calibration
from fairtrial.storage.declaration import read_declaration
from fairtrial.storage.lease import read_lease
from fairtrial.storage.record import read
from fairtrial.storage.store import Store
from fairtrial.study import loader
from fairtrial.weights import npz
from fairtrial.weights.weights_source import readable


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


LABELS = np.zeros(2, np.int64)
READERS = {
    "study.py": loader.load,
    "study.json": read_declaration,
    "0123456789ab-1.json": read,
    "0123456789ab-2.json": read_lease,
    "calibration-1.json": read_calibration,
    "indices.json": lambda path: read_indices(
        path, labels=LABELS, test_n=2, data_sha256="0" * 64, num_classes=1
    ),
    "weights.npz": lambda path: npz.opened(path, most=2**20).__enter__(),
    "weights.safetensors": lambda path: readable(path).__enter__(),
    "weights.npz.json": lambda path: npz.held(path.with_suffix(""), open_file(Path(__file__))),
    "images.zip": unpacked,
    "summary.csv": lambda path: of_summary(path.parent),
    "report.json": read_timings,
    "baseline.json": lambda path: baseline.load(path, {}, path.parent),
    "history/night.json": lambda path: history.nights(path.parents[1]),
    "cells/0123456789ab-1.json": lambda path: Store(path.parents[1]).attempts(),
    "cells": lambda path: Store(path.parent).attempts(),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", ["a named pipe", "a device"])
def test_every_reader_refuses_at_once_what_is_no_file(tmp_path, kind, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    PLACED[kind](path)
    began = time.monotonic()
    with pytest.raises(Fault) as refused:
        READERS[name](path)
    assert time.monotonic() - began < 2
    (problem,) = refused.value.problems
    assert refused.value.code == (2 if name == "study.py" else 3)
    assert "not a file" in problem.what or "Not a directory" in problem.what
    assert str(path) in problem.where


@pytest.mark.parametrize("part", [".json", ".npy"])
def test_a_pipe_in_the_cache_is_decoded_anew(tmp_path, monkeypatch, part):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    images = np.zeros((2, 3, 4, 4), np.uint8)
    arrays = Arrays(("a",), images, LABELS, images, LABELS)
    through(Source("s", lambda _: arrays), None)
    (file,) = (tmp_path / "fairtrial" / "images").glob(f"*{part}")
    file.unlink()
    os.mkfifo(file)
    assert through(Source("s", lambda _: arrays), None)[1] == arrays.sha256()
    assert file.is_file()
