"""Damaged and hostile .npz files, by their ids in the reliability contract; each made by code."""

from __future__ import annotations

import json
import os
import pickle
import re
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from fairtrial.errors import Fault
from fairtrial.weights import describe, load_bit
from tests.weights.making import header, members, npy, official_arrays, write_zip

KEY = "resnet/block1/unit01/b/group_norm/beta"
KERNEL = "resnet/block1/unit01/b/standardized_conv2d/kernel"


class Canary:
    """A pickle that touches a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def changed(path, arrays, **new):
    """The good file with some arrays replaced; a name given as None is left out."""
    arrays = {**arrays, **{key.replace("__", "/"): value for key, value in new.items()}}
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})


def with_key(key, value):
    return lambda path, arrays, _: np.savez(path, **{**arrays, key: value(arrays)})


def without(*keys):
    return lambda path, arrays, _: np.savez(path, **{k: v for k, v in arrays.items() if k not in keys})


def zipped(extra, compression=zipfile.ZIP_STORED):
    """The good members, then others."""
    return lambda path, arrays, canary: write_zip(
        path, [*members(arrays), *extra(arrays, canary)], compression
    )


def with_member(key, data):
    """The good members, one of them with other bytes."""

    def make(path, arrays, _):
        write_zip(path, [(name, data if name == f"{key}.npy" else raw) for name, raw in members(arrays)])

    return make


def text(data: bytes):
    return lambda path, *_: path.write_bytes(data)


def good_then(edit):
    """The bytes of the good file, changed."""

    def make(path, arrays, _):
        np.savez(path, **arrays)
        path.write_bytes(edit(bytearray(path.read_bytes()), arrays))

    return make


def flip_value(data, arrays):
    """One bit of one float: its place is found by its bytes."""
    at = data.index(arrays[KEY].tobytes())
    data[at + 2] ^= 0x10
    return data


def claims(shape: str, dtype: str = "<f4") -> bytes:
    return header(f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n") + bytes(64)


def torch_file(path, arrays, canary):
    torch.save({"state": Canary(canary)}, path)


def big(value):
    def make(arrays):
        array = arrays[KEY].copy()
        array[3] = value
        return array

    return make


CASES = {
    "W1 wrong shape": (
        with_key(KEY, lambda a: np.zeros(64, np.float32)),
        ["shape (64,), expected (32,) for tiny", KEY],
    ),
    "W1 wrong order of axes": (
        with_key(KERNEL, lambda a: a[KERNEL].transpose(3, 2, 0, 1)),
        ["shape (32, 32, 3, 3), expected (3, 3, 32, 32)", KERNEL],
    ),
    "W2 one value": (with_key(KEY, lambda a: np.ones(1, np.float32)), ["shape (1,), expected (32,)", KEY]),
    "W2 scalar": (with_key(KEY, lambda a: np.float32(1)), ["shape (), expected (32,)", KEY]),
    "W2 row": (with_key(KEY, lambda a: np.ones((1, 32), np.float32)), ["shape (1, 32), expected (32,)", KEY]),
    "W3 one missing": (without(KEY), ["1 arrays of tiny are missing", KEY]),
    "W3 many missing": (
        without(*[f"resnet/block2/unit01/{x}/group_norm/{y}" for x in "abc" for y in ("beta", "gamma")]),
        ["6 arrays of tiny are missing: resnet/block2/unit01/a/group_norm/beta", ", ..."],
    ),
    "W3 head missing": (
        without("resnet/head/conv2d/kernel", "resnet/head/conv2d/bias"),
        ["2 arrays of tiny are missing", "resnet/head/conv2d/bias"],
    ),
    "W4 extra": (
        with_key("resnet/extra", lambda a: np.ones(3, np.float32)),
        ["1 arrays that tiny does not have: resnet/extra"],
    ),
    "W5 another network": (
        lambda path, *_: np.savez(path, **official_arrays("wide", 7)),
        ["holds the weights of wide; the network is tiny", "create_model('wide'"],
    ),
    "W6 object array": (
        lambda path, arrays, canary: np.savez(path, **{**arrays, KEY: np.array([Canary(canary)], object)}),
        ["contains pickled objects, refused", KEY],
    ),
    "W6 a pickle": (
        lambda path, arrays, canary: path.write_bytes(pickle.dumps({"a": Canary(canary)})),
        ["contains pickled objects, refused"],
    ),
    "W7 html": (text(b"\n<!DOCTYPE html><title>404"), ["a page of HTML or XML"]),
    "W7 git-lfs": (
        text(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n"),
        ["a git-lfs pointer"],
    ),
    "W7 empty": (text(b""), ["an empty file"]),
    "W7 one array": (lambda path, *_: path.write_bytes(npy(np.ones(3))), ["a single .npy array"]),
    "W7 h5": (text(b"\x89HDF\r\n\x1a\n" + bytes(99)), ["an HDF5 file"]),
    "W7 other": (text(b"weights!" * 99), ["no .npz, and nothing that is known here"]),
    "W8 cut": (
        good_then(lambda data, _: data[: len(data) // 2]),
        ["the file is cut: 386,", "about 763,036 expected"],
    ),
    "W8 one byte short": (good_then(lambda data, _: data[:-1]), ["the file is cut"]),
    "W9 bit flip": (good_then(flip_value), ["damaged", "CRC", KEY]),
    "W10 bomb by size": (
        zipped(lambda a, _: [("resnet/bomb.npy", npy(np.zeros(2**24, np.float32)))], zipfile.ZIP_DEFLATED),
        ["bytes declared, at most", "refused"],
    ),
    "W10 bomb by ratio": (
        lambda path, *_: write_zip(path, [("a.npy", npy(np.zeros(10**6)))], zipfile.ZIP_DEFLATED),
        ["a ratio above 100"],
    ),
    "W11 4 TB": (with_member(KEY, claims("(1000000000000,)")), ["takes 4,000,000,000,0", KEY]),
    "W11 overflow": (with_member(KEY, claims("(4294967296, 4294967296, 4)")), ["takes 295,147,", KEY]),
    "W11 negative": (with_member(KEY, claims("(-32,)")), ["a negative dimension", KEY]),
    "W11 two negatives": (with_member(KEY, claims("(-4, -8)")), ["a negative dimension", KEY]),
    "W11 400 kB header": (
        with_member(KEY, claims("(32,)" + " " * 400_000)),
        ["a header that cannot be trusted", KEY],
    ),
    "W11 length beyond the end": (with_member(KEY, header("{}", length=2**31)), ["a header that cannot be"]),
    "W11 nested header": (with_member(KEY, claims("(" * 4000 + ")" * 4000)), ["a header that cannot be"]),
    "W11 code in the header": (
        with_member(KEY, claims("(__import__('os').getpid(),)")),
        ["a header that cannot be trusted"],
    ),
    "W11 one byte more": (
        with_member(KEY, npy(np.ones(32, np.float32)) + b"\0"),
        ["takes 256 bytes; the member declares 257"],
    ),
    "W12 duplicate": (zipped(lambda a, _: [(f"{KEY}.npy", npy(a[KEY] * 2))]), ["a second member", KEY]),
    "W13 parent": (zipped(lambda a, _: [("../../x.npy", npy(a[KEY]))]), ["no plain path", "../../x.npy"]),
    "W13 absolute": (zipped(lambda a, _: [("/etc/x.npy", npy(a[KEY]))]), ["no plain path", "/etc/x.npy"]),
    "W13 backslash": (zipped(lambda a, _: [("..\\x.npy", npy(a[KEY]))]), ["no plain path"]),
    "W14 not npy": (zipped(lambda a, _: [("notes.txt", b"hello")]), ["not .npy, refused", "notes.txt"]),
    "W15 NaN": (with_key(KEY, big(np.nan)), ["1 of 32 values are NaN or infinite", KEY]),
    "W15 infinity": (with_key(KERNEL, lambda a: a[KERNEL] / np.float32(0)), ["are NaN or infinite", KERNEL]),
    "W15 beyond float32": (
        with_key(KEY, lambda a: np.full(32, 1e300)),
        ["32 of 32 values are NaN or infinite", KEY],
    ),
    "W16 integers": (with_key(KEY, lambda a: np.ones(32, np.int64)), ["int64 values where float32", KEY]),
    "W16 complex": (with_key(KEY, lambda a: np.ones(32, np.complex64)), ["complex64 values", KEY]),
    "W18 .pt": (torch_file, ["a PyTorch file: contains pickled objects, refused"]),
}


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning", "ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize("case", CASES)
def test_a_malformed_file_is_refused_and_nothing_is_touched(case, tiny, arrays, tmp_path):
    make, words = CASES[case]
    path, canary = tmp_path / "weights.npz", tmp_path / "canary"
    make(path, arrays, canary)
    before = {name: value.clone() for name, value in tiny.state_dict().items()}
    files = set(tmp_path.iterdir())
    start = time.process_time()
    with pytest.raises(Fault) as error:
        load_bit(tiny, path)
    assert time.process_time() - start < 5
    assert error.value.code == 3
    block = error.value.block()
    assert all(word in block for word in words), block
    assert str(path) in block
    assert all(re.match(r"error: .+\n  where: .+\n  do:    .+", b) for b in re.split(r"\n(?=error)", block))
    assert set(tmp_path.iterdir()) == files
    assert not canary.exists()
    assert all(torch.equal(value, before[name]) for name, value in tiny.state_dict().items())


@pytest.mark.parametrize("case", [name for name in CASES if name[:3] in ("W10", "W11")])
def test_a_hostile_size_is_refused_before_anything_is_allocated(case, tiny, arrays, tmp_path):
    path = tmp_path / "weights.npz"
    CASES[case][0](path, arrays, tmp_path / "canary")
    tracemalloc.start()
    with pytest.raises(Fault):
        load_bit(tiny, path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20  # the bombs declare 8 MB to 4 TB; the file itself has 1 MB


@pytest.mark.parametrize("where", ["missing.npz", "folder", "pipe", "nul\0.npz"])
def test_what_is_no_file_is_refused(where, tiny, tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Fault, match=r"could not read|not a file") as error:
        load_bit(tiny, tmp_path / where)
    assert error.value.code == 3


def test_a_file_that_differs_from_its_side_record_names_both_digests(tiny, good):
    side = {"size": good.stat().st_size, "sha256": "0" * 64}
    good.with_name("good.npz.json").write_text(json.dumps(side))
    with pytest.raises(Fault, match=rf"sha256: expected {'0' * 64}, found [0-9a-f]{{64}}") as error:
        load_bit(tiny, good)
    assert error.value.code == 3


def test_w8_a_file_shorter_than_its_side_record_names_both_sizes(tiny, good):
    size = good.stat().st_size
    good.with_name("good.npz.json").write_text(f'{{"size": {size + 5}}}')
    with pytest.raises(Fault, match=f"bytes: expected {size + 5}, found {size}"):
        load_bit(tiny, good)


def test_the_good_file_that_the_cases_start_from_is_read(tiny, arrays, tmp_path):
    write_zip(tmp_path / "weights.npz", members(arrays))
    assert load_bit(tiny, tmp_path / "weights.npz").model == "tiny"
    changed(tmp_path / "same.npz", arrays)
    assert load_bit(tiny, tmp_path / "same.npz").model == "tiny"


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_describe_refuses_what_load_refuses(tmp_path, arrays):
    for case in ("W7 html", "W8 cut", "W11 4 TB", "W12 duplicate", "W14 not npy", "W18 .pt"):
        path = tmp_path / "weights.npz"
        CASES[case][0](path, arrays, tmp_path / "canary")
        with pytest.raises(Fault):
            describe(path)
    assert not (tmp_path / "canary").exists()
