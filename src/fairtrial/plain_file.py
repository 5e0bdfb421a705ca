"""Open a plain file, and nothing else: a pipe in its place would hang its reader, a device never ends."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Final

from fairtrial.errors import refuse_shortage

_KINDS: Final = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def open_file(path: Path) -> BufferedReader:
    """Return the open file, without waiting for anyone; an OSError says what stands in its place."""
    return os.fdopen(_open(path)[0], "rb")


def _open(path: Path) -> tuple[int, int]:
    """Return the handle and the size of a plain file."""
    name = os.fspath(path)
    try:
        # to open a device may already move it
        _refuse_other(path, os.stat(name).st_mode)  # noqa: PTH116  (a Path costs more than the call)
        handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except ValueError as error:
        raise OSError(errno.EINVAL, f"its name is none: {error}", str(path)) from None
    except OSError as error:
        refuse_shortage(error, name)
        raise
    try:
        there = os.fstat(handle)
        _refuse_other(path, there.st_mode)
    except BaseException:
        os.close(handle)
        raise
    return handle, there.st_size


def read_file(path: Path, most: int) -> bytes:
    """Return the bytes of a file; an OSError also where there are more than `most`, which are not read."""
    handle, size = _open(path)
    with os.fdopen(handle, "rb") as file:
        try:
            # what is asked for is allocated, so no more than the file says; some say 0, and others grow
            data = file.read(size + 1) if size <= most else b""
            data += file.read(most + 1 - len(data)) if len(data) > size else b""
        except (OSError, MemoryError) as error:
            refuse_shortage(error, str(path))
            raise
    if max(size, len(data)) > most:
        what = f"{max(size, len(data)):,} bytes where at most {most:,} are expected"
        raise OSError(errno.EFBIG, what, str(path))
    return data


def read_text(path: Path, most: int, encoding: str = "utf-8") -> str:
    """Return the text of a file of at most `most` bytes; an OSError also where it is none in UTF-8."""
    try:
        return read_file(path, most).decode(encoding)
    except UnicodeDecodeError as error:
        raise OSError(errno.EILSEQ, f"byte {error.start:,} is no UTF-8 text", str(path)) from None


def _refuse_other(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise OSError(errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL, f"{kind}, not a file", str(path))
