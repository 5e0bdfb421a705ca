"""Files that appear whole or not at all, and JSON that is checked before it is trusted."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from fairtrial.errors import BAD_INPUT, RESOURCES, Fault, fault

MARK: Final = ".fairtrial-"  # temporary files carry it, so that repair deletes ours and nothing else
RECORD_CAP: Final = 64 * 1024  # bytes of one attempt file
DEPTH_CAP: Final = 50
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def publish(path: Path, text: str, *, overwrite: bool = False) -> None:
    """Write, fsync, then show the file under its name; without `overwrite` an existing one is a FileExistsError.

    The temporary file lies in the same folder; the name is given by link (or rename), then the folder is fsynced,
    so that after a crash the file is there in full or not there. A full disk is a Fault with exit code 6.
    """
    try:
        with _temporary(path.parent, text) as temporary:
            if overwrite:
                os.replace(temporary, path)
            else:
                os.link(temporary, path)
        _sync_folder(path.parent)
    except FileExistsError:
        raise
    except OSError as error:
        what = f"could not write {path.name}: {error.strerror}"
        do = "free some space, then run the same command again" if error.errno in _FULL else "check the folder"
        raise fault(what, str(path.parent), do, RESOURCES) from error


@contextlib.contextmanager
def _temporary(folder: Path, text: str) -> Iterator[str]:
    handle, name = tempfile.mkstemp(prefix=MARK, suffix=".tmp", dir=folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.fsync(file.fileno())
        yield name
    finally:
        with contextlib.suppress(FileNotFoundError):  # renamed away
            os.unlink(name)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_json(path: Path, *, cap: int = RECORD_CAP) -> dict[str, Any]:
    """A JSON object from a file; anything else is a Fault that names file and byte offset."""
    do = "move the file away with `fairtrial repair STUDY`, then run again what is missing"
    try:
        size = path.stat().st_size
        if size > cap:
            raise fault(f"{size:,} bytes where at most {cap:,} are expected", str(path), do, BAD_INPUT)
        text = path.read_bytes().decode("utf-8")
        value = json.loads(text, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise fault(f"not UTF-8 text ({error.reason})", f"{path}, byte {error.start}", do, BAD_INPUT) from None
    except json.JSONDecodeError as error:
        where = f"{path}, byte {len(text[: error.pos].encode())} of {size}"
        raise fault(f"not a whole JSON object: {error.msg}", where, do, BAD_INPUT) from None
    except (RecursionError, ValueError) as error:
        raise fault(f"not a JSON object that can be trusted: {error}", str(path), do, BAD_INPUT) from None
    except OSError as error:
        raise fault(f"could not read: {error.strerror}", str(path), "check the path", BAD_INPUT) from None
    if not isinstance(value, dict) or _depth(value) > DEPTH_CAP:
        raise fault(f"a JSON {type(value).__name__} where a flat object is expected", str(path), do, BAD_INPUT)
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _depth(value: Any) -> int:
    deepest, layer = 0, [value]
    while layer:
        deepest += 1
        inner = [v for item in layer for v in (item.values() if isinstance(item, dict) else item)]
        layer = [v for v in inner if isinstance(v, (dict, list))]
    return deepest


def gather(faults: list[Fault]) -> Fault:
    """Several faults as one, with every problem and the first exit code."""
    return Fault([problem for one in faults for problem in one.problems], faults[0].code)
