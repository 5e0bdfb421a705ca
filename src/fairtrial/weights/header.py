"""The header of one of our safetensors files, checked before anything is allocated.

Eight bytes with its length, JSON with name -> type, shape, first and last byte, then the arrays end to end.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, Final

import numpy as np

from fairtrial.errors import BAD_INPUT, Fault, fault, shown
from fairtrial.weights.fingerprint import COUNT

SCHEMA: Final = 1
KEY: Final = "fairtrial"  # the one entry of safetensors' metadata; two would be written in any order
HEADER_CAP: Final = 2**20  # bytes; R152x4 needs 60 kB
DTYPES: Final[dict[str, np.dtype[Any]]] = {"F32": np.dtype("<f4"), "I64": np.dtype("<i8")}
AGAIN: Final = "take an undamaged copy of the file, or train it again"


@dataclass(frozen=True)
class Entry:
    """One array: where it lies in the file, and what it is."""

    begin: int
    end: int
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Header:
    """record: schema, built, probe, metadata; seal: the digest of record and arrays."""

    entries: dict[str, Entry]
    record: dict[str, Any]
    seal: str


def read_header(path: Path, file: BufferedReader, size: int) -> Header:
    """The header of a file of so many bytes; a Fault unless it is sound and accounts for each of them."""

    def refused(what: str) -> Fault:
        return fault(what, f"{path}, its header", AGAIN, BAD_INPUT)

    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(HEADER_CAP, size - 8):
        what = f"a header of {length:,} bytes in a file of {size:,}, at most {HEADER_CAP:,}"
        raise refused(f"{what}: cut, or no safetensors")
    start = 8 + length
    try:
        header = json.loads(file.read(length), object_pairs_hook=_no_duplicates)
        sealed = json.loads(header.pop("__metadata__")[KEY], object_pairs_hook=_no_duplicates)
        record, seal = _checked(sealed["record"]), str(sealed["sha256"])
        entries = {name: _entry(name, start, **fields) for name, fields in header.items()}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        why = f"{type(error).__name__}: {error}"
        raise refused(f"not a checkpoint of fairtrial, or damaged: {why[:200]}") from None
    spans = sorted((entry.begin, entry.end) for entry in entries.values())
    ends = [start, *(end for _, end in spans)]
    if [begin for begin, _ in spans] != ends[:-1] or ends[-1] != size:
        what = f"{size:,} bytes found, {ends[-1]:,} expected"
        raise refused(f"{what}: the arrays leave a hole, overlap, or are cut")
    return Header(entries, record, seal)


def _checked(record: dict[str, Any]) -> dict[str, Any]:
    if record["schema"] != SCHEMA:
        raise ValueError(f"schema {shown(record['schema'])}; this version reads {SCHEMA}")
    sound = isinstance(record["built"], dict) and isinstance(record["metadata"], dict)
    if not sound or len([float(value) for value in record["probe"]]) != COUNT:
        raise ValueError("a record that is not ours")
    return record


def _entry(name: str, start: int, *, dtype: str, shape: list[int], data_offsets: list[int]) -> Entry:
    begin, end = data_offsets
    if dtype not in DTYPES:
        raise ValueError(f"{name}: {shown(dtype)} values where one of {', '.join(DTYPES)} is expected")
    if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
        raise ValueError(f"{name}: shape {shown(shape)} at {begin}..{end}: expected whole numbers from 0")
    if end - begin != math.prod(shape) * DTYPES[dtype].itemsize:
        raise ValueError(f"{name}: shape {shown(shape)} of {dtype} at {begin}..{end}: the sizes differ")
    return Entry(start + begin, start + end, tuple(shape), dtype)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice")
    return dict(pairs)
