"""What a zip or tar file declares: its members, each held to the rules before anything is unpacked.

Where a hostile file is met: a header may claim any size, and tarfile takes a damaged header for the end.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import re
import stat
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from fairtrial.errors import BAD_INPUT, Fault, Problem, fault, refuse_shortage

SUFFIXES: Final = (".zip", ".tar", ".tar.gz", ".tgz")
MOST_MEMBERS: Final = 1_000_000
MOST_BYTES: Final = 64 * 2**30  # unpacked
MOST_RATIO: Final = 100  # unpacked bytes per byte of the archive
PADDING: Final = 16 * 2**20  # bytes of zeros that may end a tar
CHUNK: Final = 2**16  # bytes read at once; so no header of a tar is longer
DIRECTORY_CAP: Final = 100 * MOST_MEMBERS  # bytes of a zip's directory
PATH_CAP: Final = 1024  # bytes of a name with its folders
PART_CAP: Final = 255  # bytes between two slashes
AGAIN: Final = "make the archive again: plain files and folders, train/CLASS/* and test/CLASS/*"
BY_HAND: Final = "if you trust it, unpack it yourself and use folder:DIR"
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others unpack without a bound on memory
_KINDS: Final = {  # in the mode of a zip's member
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
}
_TYPES: Final = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}


class Member(NamedTuple):
    """One entry. name: as the archive spells it; size: bytes, as declared; wrong: why it is refused."""

    name: str
    folder: bool
    size: int
    wrong: str | None
    open: Callable[[], Any]  # -> something to read the bytes from

    @property
    def parts(self) -> tuple[str, ...]:
        """The name as folders and file."""
        return tuple(part for part in self.name.split("/") if part not in ("", "."))


@contextlib.contextmanager
def checked(path: Path, file: IO[bytes]) -> Iterator[list[Member]]:
    """All members of an open archive, readable within the block; a Fault (exit 3) names those it refuses."""
    with contextlib.ExitStack() as stack:
        with damage(path):
            size = file.seek(0, 2)
            file.seek(0)
            if _suffix(path) == ".zip":
                bounded: Any = _Bounded(file, DIRECTORY_CAP)
                archive = stack.enter_context(zipfile.ZipFile(bounded))
                listed: Iterator[Member] = (_of_zip(archive, info) for info in archive.infolist())
            else:
                plain = file if _suffix(path) == ".tar" else stack.enter_context(gzip.GzipFile(fileobj=file))
                listed = _of_tar(_Bounded(plain, CHUNK), MOST_RATIO * size + PADDING)
            members = _checked(path, listed, size)
        yield members


@contextlib.contextmanager
def damage(path: Path, member: str = "") -> Iterator[None]:
    """Whatever damaged bytes do to zipfile, tarfile and gzip becomes a Fault."""
    try:
        yield
    except Fault:
        raise
    except Exception as error:
        # the disk that is written to, and not the archive: gzip's own errors have no number, and a place
        # before its start is an invalid argument
        refuse_shortage(error, str(path))
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        what = f"expected a whole {_suffix(path)} archive: {error}"[:300]
        where = f"{path}, {member}" if member else str(path)
        raise fault(what, where, "fetch or make the archive again", BAD_INPUT) from None


def _suffix(path: Path) -> str:
    return next(suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix))


def _checked(path: Path, listed: Iterator[Member], size: int) -> list[Member]:
    """All members, or a Fault with every reason against them. size: bytes of the archive."""
    total, names = 0, _Names()
    members: list[Member] = []
    problems: list[Problem] = []
    for member in listed:
        total += member.size
        where = f"{path}, {member.name}"
        if what := _too_much(len(members) + 1, total, member.size, size):
            problems.append(Problem(what, where, BY_HAND))
            break  # to read on would be the harm that the limits prevent
        if what := member.wrong or _wrong_name(member) or names.wrong(member):
            problems.append(Problem(f"{what}, refused", where, AGAIN))
        members.append(member)
    if not problems and all(member.folder for member in members):
        problems.append(Problem("expected an archive of images; it holds no file", str(path), AGAIN))
    if problems:
        raise Fault(problems, BAD_INPUT)
    return members


def _too_much(count: int, total: int, own: int, size: int) -> str | None:
    most = min(MOST_BYTES, MOST_RATIO * size)
    if count > MOST_MEMBERS:
        return f"more than {MOST_MEMBERS:,} members, refused"
    if own < 0:  # some versions of tarfile would then read in circles
        return f"a size of {own:,} bytes, refused"
    if total > most:
        return f"{total:,} bytes declared up to here by {size:,}; at most {most:,} are taken, refused"
    return None


def _wrong_name(member: Member) -> str | None:
    name, parts = member.name, member.parts
    try:
        longest = max([len(part.encode()) for part in parts], default=0)
    except UnicodeEncodeError:
        return "a name that is not UTF-8"
    if "\0" in name or "\\" in name:
        return "a name with a NUL or a backslash"
    if name.startswith("/") or re.match("[A-Za-z]:", name):
        return "an absolute path"
    if ".." in parts:
        return "a path that leads out with '..'"
    if longest > PART_CAP or len(name.encode()) > PATH_CAP:
        return f"a name of more than {PART_CAP} bytes, or {PATH_CAP} with its folders"
    return None if parts or member.folder else "a file without a name"


class _Names:
    """The paths so far, those of folders included; two that some file system takes for one are refused."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, bool]] = {}  # folded -> (as spelled, is it a folder)

    def wrong(self, member: Member) -> str | None:
        parts = member.parts
        for depth in range(1, len(parts) + 1):
            spelled, folder = "/".join(parts[:depth]), member.folder or depth < len(parts)
            folded = unicodedata.normalize("NFC", spelled.casefold())
            if folded not in self._seen:
                self._seen[folded] = spelled, folder
                continue
            first, was_folder = self._seen[folded]
            if first != spelled:
                return f"the same name as {first!r} but for case or accents"
            if not (folder and was_folder):
                return f"a second member of the name {spelled!r}"
        return None


def _of_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    mode, folder = info.external_attr >> 16, info.is_dir()
    kind = stat.S_IFMT(mode)
    wrong = _wrong_mode(mode, folder)
    if kind not in (0, stat.S_IFDIR if folder else stat.S_IFREG):
        wrong = _KINDS.get(kind, "an entry that is neither file nor folder")
    elif info.flag_bits & 1 or info.compress_type not in _METHODS:
        wrong = "encrypted, or compressed by another method than deflate"
    name = info.orig_filename  # `filename` ends at a NUL
    return Member(name, folder, info.file_size, wrong, partial(archive.open, info))


def _of_tar(file: _Bounded, most: int) -> Iterator[Member]:
    """The members, and after the last one a check that the file really ends there."""
    reader: Any = file
    archive: Any = tarfile.open(fileobj=reader, mode="r:")  # noqa: SIM115 - there is nothing to close
    while info := archive.next():
        archive.members.clear()  # its own list of them
        wrong = _wrong_mode(info.mode, info.isdir())
        if info.issparse():
            wrong = "a sparse file"
        elif not info.isdir() and info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            wrong = _TYPES.get(info.type, f"an entry of type {info.type!r}")
        yield Member(info.name, info.isdir(), info.size, wrong, partial(archive.extractfile, info))
    file.seek(archive.offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it is cut, or damaged, where a header should be")
    while file.read(CHUNK):  # to the end, where gzip compares its checksum
        if file.tell() > most:
            raise tarfile.ReadError(f"it goes on for more than {most:,} bytes")


def _wrong_mode(mode: int, folder: bool) -> str | None:
    """Modes are never applied; but an image that wants to run as its owner is no image."""
    return "a set-user-id bit" if mode & (stat.S_ISUID | (0 if folder else stat.S_ISGID)) else None


class _Bounded:
    """A file for zipfile and tarfile, which would read whatever length a header claims."""

    def __init__(self, file: Any, most: int) -> None:
        self._file, self._most = file, most
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        """At most `most` bytes; ValueError where more are asked for and there."""
        data = self._file.read(self._most + 1 if size < 0 else min(size, self._most + 1))
        if len(data) > self._most:
            raise ValueError(f"a header of more than {self._most:,} bytes")
        return data
