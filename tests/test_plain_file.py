"""What stands in a file's place is refused at once: no reader waits for a pipe, or reads a device.

And what the machine lacks, memory or open files or a disk that works, is not taken for damage of a file.
"""

import errno
import io
import os
import socket
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from fairtrial.cli.main import main
from fairtrial.data import decoded_cache, open_dataset
from fairtrial.data.archive import unpacked
from fairtrial.data.decode import pixels
from fairtrial.data.decoded_cache import through
from fairtrial.data.index_file import read_indices
from fairtrial.data.split_arrays import Arrays, Source
from fairtrial.errors import Fault, Shortage
from fairtrial.plain_file import open_file, read_file
from fairtrial.regression import baseline, history
from fairtrial.reporting.comparison.table_file import read_table
from fairtrial.reporting.results.shared_runs import of_summary, out_of_reach, page_of
from fairtrial.reporting.results.timings import read_file as read_timings
from fairtrial.storage import lock
from fairtrial.storage.atomic import read_json
from fairtrial.storage.calibrations import read_calibration
from fairtrial.storage.declaration import read_declaration
from fairtrial.storage.exchange import texts_of
from fairtrial.storage.lease import read_lease
from fairtrial.storage.record import read
from fairtrial.storage.store import Store
from fairtrial.study import loader
from fairtrial.tuning.database_url import FILE_VARIABLE, given_url
from fairtrial.weights import npz
from fairtrial.weights.state_dict import pickled
from fairtrial.weights.weights_source import readable
from tests.data.making import png, write_parquet
from tests.support.records import declared_store, publish
from tests.support.toy import toy_study


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
    began = time.process_time()
    for opened in (open_file, lambda path: read_file(path, 10)):
        with pytest.raises(OSError, match=f"{kind}, not a file"):
            opened(path)
    with pytest.raises(Fault, match=f"could not read: {kind}, not a file") as refused:
        read_json(path)
    assert (refused.value.code, refused.value.problems[0].where) == (3, str(path))
    assert time.process_time() - began < 2


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
    **dict.fromkeys(("runs.csv", "runs.jsonl", "runs.parquet"), read_table),
    "cells/0123456789ab-2.json": lambda path: texts_of(Store(path.parents[1]), "0123456789ab"),
    "url": lambda path: given_url(None, {FILE_VARIABLE: str(path)}),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", ["a named pipe", "a device"])
def test_every_reader_refuses_at_once_what_is_no_file(tmp_path, kind, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    PLACED[kind](path)
    began = time.process_time()
    with pytest.raises(Fault) as refused:
        READERS[name](path)
    assert time.process_time() - began < 2
    (problem,) = refused.value.problems
    assert refused.value.code == (2 if name in ("study.py", "url") else 3)
    assert "not a file" in problem.what or "Not a directory" in problem.what
    assert str(path) in problem.where


@pytest.mark.parametrize("kind", PLACED)
def test_who_reads_a_lock_or_the_page_of_a_neighbour_goes_on_without(tmp_path, kind):
    for name in (lock.WHOLE, "report.md"):
        PLACED[kind](tmp_path / name)
    began = time.process_time()
    assert lock.began(tmp_path) is None
    assert (page_of(tmp_path), out_of_reach(tmp_path)) == (None, {})
    assert "another process" in lock._busy(tmp_path / lock.WHOLE).problems[0].what
    assert time.process_time() - began < 2


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


def lacking(error):
    """In place of a function: what it raises where the machine lacks something."""

    def refuse(*_, **__):
        raise error

    return refuse


def closed(monkeypatch, number):
    """No plain file can be opened; the others of a command can."""
    opened = os.open

    def lacks(path, flags, *more, **how):
        if flags & os.O_NONBLOCK:
            raise OSError(number, os.strerror(number), path)
        return opened(path, flags, *more, **how)

    monkeypatch.setattr(os, "open", lacks)


MACHINE = [errno.EMFILE, errno.EIO, errno.ENOMEM]


@pytest.mark.parametrize("name", [name for name in READERS if name != "cells"])
@pytest.mark.parametrize("number", MACHINE, ids=errno.errorcode.get)
def test_no_reader_takes_what_the_machine_lacks_for_damage(tmp_path, monkeypatch, name, number):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"{}")
    words = os.strerror(number)
    closed(monkeypatch, number)
    expected = MemoryError if number == errno.ENOMEM else Shortage
    with pytest.raises(expected, match="memory ran out" if number == errno.ENOMEM else words) as refused:
        READERS[name](path)
    assert getattr(refused.value, "code", 6) == 6


def arrays(path):
    with npz.opened(path / "w.npz", most=4096) as archive:
        archive.read("a")


def tensors(path):
    file = io.BytesIO()
    torch.save({"a": torch.ones(1)}, file)
    pickled(path, file, file.tell())


INNER = {
    "image": (Image, "open", lambda _: pixels(png(1), 4)),
    "header": (npz.npy, "read_magic", arrays),
    "member": (npz.zipfile.ZipFile, "open", arrays),
    "parquet": (
        pyarrow.parquet.ParquetFile,
        "iter_batches",
        lambda at: open_dataset(f"parquet:{at}", resolution=8),
    ),
    "table": (
        pyarrow.parquet.ParquetFile,
        "iter_batches",
        lambda at: read_table(at / "train.parquet"),
    ),
    "tensors": (torch, "load", tensors),
}


@pytest.mark.parametrize("reader", INNER)
@pytest.mark.parametrize("number", MACHINE, ids=errno.errorcode.get)
def test_nor_does_one_that_another_library_reads_for(tmp_path, monkeypatch, reader, number):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_parquet(tmp_path)
    np.savez(tmp_path / "w.npz", a=np.ones(3, np.float32))
    owner, name, ask = INNER[reader]
    error = MemoryError() if number == errno.ENOMEM else OSError(number, os.strerror(number))
    monkeypatch.setattr(owner, name, lacking(error))
    with pytest.raises(MemoryError if number == errno.ENOMEM else Fault) as refused:
        ask(tmp_path)
    assert getattr(refused.value, "code", 6) == 6


def test_cached_images_are_not_called_damaged_where_memory_ran_out(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    images = np.zeros((2, 3, 4, 4), np.uint8)
    source = Source("s", lambda _: Arrays(("a",), images, LABELS, images, LABELS))
    through(source, None)
    monkeypatch.setattr(decoded_cache.np, "load", lacking(OSError(errno.ENOMEM, "Cannot allocate memory")))
    with pytest.raises(MemoryError, match=r"memory ran out while .*\.npy was read"):
        through(source, None)
    assert not caplog.records


def test_repair_moves_nothing_that_could_not_be_read(tmp_path, monkeypatch, capsys):
    store = declared_store(toy_study(), tmp_path)
    publish(store, toy_study().cells()[0])
    before = sorted(store.folder.rglob("*"))
    for number, words in ((errno.EMFILE, "Too many open files"), (errno.ENOMEM, "memory ran out")):
        with monkeypatch.context() as patched:
            closed(patched, number)
            assert main(["verify", str(store.folder)]) == 6
            said = capsys.readouterr().err
            assert said.count("error: ") == 1 and words in said, said
            with pytest.raises((Shortage, MemoryError)):
                store.set_aside()
    assert sorted(store.folder.rglob("*")) == before
