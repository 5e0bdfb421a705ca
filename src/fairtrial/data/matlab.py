"""The rows of a table in a MATLAB file (version 5), such as the one in ILSVRC2012's development kit.

scipy reads more of MATLAB's types, but a damaged file ends its process with a signal.
Source: MAT-File Format, The MathWorks; the official description of version 5.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Final

import numpy as np

MOST: Final = 2**24  # bytes that a file may unpack to; the table of ILSVRC2012 has 1860 rows
_HEADER: Final = 128  # bytes
_NAMES: Final = 2**12  # bytes of the names of all fields, of at most 63 letters each
_ORDERS: Final = {b"IM": "<", b"MI": ">"}
_NUMBERS: Final = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"
}  # fmt: skip
_TEXTS: Final = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16"}
_MATRIX, _PACKED = 14, 15  # kinds of elements
_STRUCT, _CHAR = 2, 4  # classes of matrices

Element = tuple[int, memoryview]  # kind, content


def rows(data: bytes, name: str, fields: int) -> list[tuple[str | float, ...]]:
    """Return the first so many fields of each struct in the array called `name`: texts, or first numbers.

    data: the content of the file. A ValueError, LookupError, struct.error or zlib.error where it is damaged.
    """
    order, room = _ORDERS[data[_HEADER - 2 : _HEADER]], MOST
    for kind, content in _elements(memoryview(data)[_HEADER:], order):
        if kind == _PACKED:
            unpacked = _unpacked(content, room)
            room -= len(unpacked)
            kind, content = next(_elements(unpacked, order), (0, unpacked))
        if kind != _MATRIX:
            raise ValueError(f"an element of kind {kind}")
        parts = _elements(content, order)
        flags, dims, called = (part for _, part in islice(parts, 3))
        if bytes(called) == name.encode() and _class_of(flags, order) == _STRUCT:
            return list(_structs(parts, math.prod(np.frombuffer(dims, f"{order}i4").tolist()), order, fields))
    raise LookupError(f"no table {name!r}")


def _structs(
    parts: Iterator[Element], count: int, order: str, fields: int
) -> Iterator[tuple[str | float, ...]]:
    (_, length), (_, text) = islice(parts, 2)
    width = int(np.frombuffer(length, f"{order}i4")[0])
    if width < 1 or len(text) > _NAMES:
        raise ValueError(f"{len(text):,} bytes of names of fields, {width} each")
    for _ in range(count):
        own = [content for _, content in islice(parts, len(text) // width)]
        yield tuple(_value(own[place], order) for place in range(fields))


def _value(matrix: memoryview, order: str) -> str | float:
    parts = _elements(matrix, order)
    (_, flags), _, _, (kind, content) = islice(parts, 4)
    if _class_of(flags, order) != _CHAR:
        return float(np.frombuffer(content, order + _NUMBERS[kind])[0])
    encoding = _TEXTS[kind]
    ends = {"<": "-le", ">": "-be"}[order] if encoding == "utf-16" else ""
    return bytes(content).decode(encoding + ends)


def _class_of(flags: memoryview, order: str) -> int:
    return int(struct.unpack_from(f"{order}I", flags)[0]) & 0xFF


def _elements(data: memoryview, order: str) -> Iterator[Element]:
    """Yield what stands one after the other; up to four bytes share the eight of their tag."""
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        at += 8
        if kind >> 16:
            content = data[at - 4 : at][: kind >> 16]
        else:
            content = data[at : at + size]
            at += size + (0 if kind == _PACKED else -size % 8)
        if len(content) < (kind >> 16 or size):
            raise ValueError(f"an element that is cut: {len(content):,} bytes")
        yield kind & 0xFFFF, content


def _unpacked(content: memoryview, most: int) -> memoryview:
    reader = zlib.decompressobj()
    data = reader.decompress(content, most)
    if not reader.eof:
        raise ValueError(f"packed content that is cut, or has more than {most:,} bytes")
    return memoryview(data)
