"""An .npz, checked before anything is allocated and read without pickle.

numpy.load takes the last of two members of one name, returns raw bytes for a member that is not .npy, and
believes any header; here the zip directory and every header are looked at first.
"""

from __future__ import annotations

import contextlib
import math
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy

from fairtrial.errors import BAD_INPUT, Fault, Problem, fault, refuse_shortage
from fairtrial.weights.weights_source import held, readable

RATIO_CAP: Final = 100  # declared bytes per byte of the file
HEADER_CAP: Final = 10_000  # bytes of one .npy header; numpy's own limit for text it parses
MEMBER_CAP: Final = 10_000  # R152x4 has 460
DIRECTORY_CAP: Final = 4 * 2**20  # bytes of the zip directory
AGAIN: Final = "fetch the file again: fairtrial.weights.fetch(NAME, FOLDER)"
_SAFE: Final = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*/)*[A-Za-z0-9_][A-Za-z0-9_.-]*\.npy")
_END: Final = b"PK\x05\x06"  # the record that ends a zip file; 22 bytes without a comment
_HEADERS: Final = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_MISTAKEN: Final = (
    (b"\x80", "a pickle; contains pickled objects, refused"),
    (b"version https://git-lfs", "a git-lfs pointer, not the file that it stands for"),
    (b"<", "a page of HTML or XML, as a server sends with an error"),
    (b"\x93NUMPY", "a single .npy array"),
    (b"\x89HDF", "an HDF5 file, as the official weights for TensorFlow"),
    (b"\x1f\x8b", "a gzip file"),
    (b"{", "JSON text"),
)


@dataclass(frozen=True)
class Member:
    """One array by its header."""

    info: zipfile.ZipInfo
    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool


@dataclass(frozen=True)
class Npz:
    """An open file whose directory and headers are sound. members: name -> array by its header."""

    path: Path
    size: int  # bytes
    sha256: str
    side: dict[str, Any]  # the record of `fetch`, or {}
    members: dict[str, Member]
    _archive: zipfile.ZipFile

    def read(self, key: str) -> np.ndarray:
        """The values as float32, in C order."""
        member = self.members[key]
        with _damage(self.path, key), self._archive.open(member.info) as stream:
            array = npy.read_array(stream, allow_pickle=False, max_header_size=HEADER_CAP)
            # to the end, where zipfile compares checksums
            stream.read()
        with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite, and is refused as that
            return array.astype(np.float32, order="C")

    def notes(self) -> tuple[str, ...]:
        """What `read` converts."""
        notes = []
        for dtype, count in Counter(str(member.dtype) for member in self.members.values()).items():
            if dtype != "float32":
                notes.append(f"{count} arrays converted from {dtype} to float32")
        if fortran := sum(member.fortran and len(member.shape) > 1 for member in self.members.values()):
            notes.append(f"{fortran} arrays converted from Fortran order")
        return tuple(notes)


@contextlib.contextmanager
def opened(path: Path, *, most: int, about: int | None = None) -> Iterator[Npz]:
    """Open and check an .npz; every fault is found before its values are read.

    most: bytes that the arrays may declare, and the file may have. about: bytes that it should have, for the
    message about a file that was cut.
    """
    with readable(path) as file:
        size = file.seek(0, 2)
        _refuse_if_other(path, file, size, about)
        if size > most:
            raise fault(f"{size:,} bytes where at most {most:,} are expected", str(path), AGAIN, BAD_INPUT)
        size, sha256, side = held(path, file)
        with _damage(path, "the zip directory"):
            archive = zipfile.ZipFile(file)
        with archive:
            _refuse_directory(path, archive.infolist(), size, most)
            members = {}
            for info in archive.infolist():
                key = info.filename.removesuffix(".npy")
                with _damage(path, key), archive.open(info) as stream:
                    members[key] = _member(path, key, info, stream.read(HEADER_CAP + 12))
            yield Npz(path, size, sha256, side, members, archive)


def _refuse_if_other(path: Path, file: BufferedReader, size: int, about: int | None) -> None:
    """A file that is no zip at all, by its first bytes; a zip without its end, by its last ones."""
    file.seek(0)
    head = file.read(64)
    if not head.startswith(b"PK\x03\x04"):
        kinds = (kind for start, kind in _MISTAKEN if head.lstrip().startswith(start))
        kind = "an empty file" if size == 0 else next(kinds, "no .npz, and nothing that is known here")
        raise fault(f"expected an .npz, found {kind}", str(path), AGAIN, BAD_INPUT)
    file.seek(max(0, size - 22))
    tail = file.read(22)
    if not tail.startswith(_END):
        expected = f", about {about:,} expected" if about else ""
        what = f"the file is cut: {size:,} bytes found{expected}, and the zip directory at its end is missing"
        raise fault(what, str(path), AGAIN, BAD_INPUT)
    if int.from_bytes(tail[12:16], "little") > DIRECTORY_CAP:
        what = f"a zip directory of more than {DIRECTORY_CAP:,} bytes, refused"
        raise fault(what, str(path), AGAIN, BAD_INPUT)


def _refuse_directory(path: Path, infos: list[zipfile.ZipInfo], size: int, most: int) -> None:
    """Everything that the zip directory alone shows."""
    if len(infos) > MEMBER_CAP:
        raise fault(f"{len(infos):,} members, more than {MEMBER_CAP:,}", str(path), AGAIN, BAD_INPUT)
    wrong: list[tuple[str, str]] = []
    seen: set[str] = set()
    for info in infos:
        if what := _wrong_member(info, seen):
            wrong.append((info.orig_filename, what))
        seen.add(info.filename)
    declared = sum(info.file_size for info in infos)
    if declared > most:
        wrong.append(("all members", f"{declared:,} bytes declared, at most {most:,} expected; refused"))
    elif declared > RATIO_CAP * size:
        what = f"{declared:,} bytes declared by a file of {size:,}, a ratio above {RATIO_CAP}; refused"
        wrong.append(("all members", what))
    if wrong:
        raise Fault([Problem(what, f"{path}, {name}", AGAIN) for name, what in wrong], BAD_INPUT)


def _wrong_member(info: zipfile.ZipInfo, seen: set[str]) -> str | None:
    name = info.orig_filename  # `filename` ends at a NUL
    if name.endswith("data.pkl"):
        return "a PyTorch file: contains pickled objects, refused"
    if not name.endswith(".npy"):
        return "a member that is not .npy, refused"
    if not _SAFE.fullmatch(name):
        return "a name that is no plain path, refused"
    if info.filename in seen:
        return "a second member of this name, refused"
    if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "encrypted, or compressed in a way that numpy does not write; refused"
    return None


def _member(path: Path, key: str, info: zipfile.ZipInfo, head: bytes) -> Member:
    """An array by its header, held to the bytes that the member declares."""

    def refused(what: str) -> Fault:
        return fault(what, f"{path}, {key}", AGAIN, BAD_INPUT)

    stream = BytesIO(head)
    try:
        read = _HEADERS[npy.read_magic(stream)]
        shape, fortran, dtype = read(stream, max_header_size=HEADER_CAP)
    except Exception as error:  # whatever hostile text does to a parser
        refuse_shortage(error, str(path))
        raise refused(f"a header that cannot be trusted: {_short(error)}") from None
    if dtype.hasobject:
        raise refused("contains pickled objects, refused")
    if dtype.kind != "f" or dtype.itemsize not in (2, 4, 8):
        raise refused(f"{dtype} values where float32 is expected")
    if any(length < 0 for length in shape):
        raise refused(f"shape {shape} with a negative dimension")
    expected = stream.tell() + math.prod(shape) * dtype.itemsize
    if expected != info.file_size:
        what = f"shape {shape} of {dtype} takes {expected:,} bytes; the member declares {info.file_size:,}"
        raise refused(what)
    return Member(info, shape, dtype, fortran)


@contextlib.contextmanager
def _damage(path: Path, what: str) -> Iterator[None]:
    """Whatever damaged bytes do to zipfile becomes a Fault."""
    try:
        yield
    except Fault:
        raise
    except Exception as error:  # BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, ...
        refuse_shortage(error, str(path))
        raise fault(f"damaged: {_short(error)}", f"{path}, {what}", AGAIN, BAD_INPUT) from None


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]
