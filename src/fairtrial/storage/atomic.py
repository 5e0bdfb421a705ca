"""Files that appear whole or not at all, and JSON that is checked before it is trusted."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO, Final

from fairtrial.errors import BAD_INPUT, RESOURCES, Fault, Problem, fault
from fairtrial.failpoints import NOWHERE, Along, failpoint
from fairtrial.plain_file import read_file

MARK: Final = ".fairtrial-"  # temporary files carry it, so that repair deletes ours and nothing else
RECORD_CAP: Final = 64 * 1024  # bytes of one attempt file
DEPTH_CAP: Final = 50
_SPACE: Final = "free some space, then run the same command again"
_NO_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
_LINKS: Final = "choose a --results folder on a file system with hard links"
_ADVICE: Final = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _SPACE),
    **dict.fromkeys((errno.EROFS, errno.EACCES), "choose a folder that you may write to (--results)"),
    errno.ENAMETOOLONG: "choose a folder with a shorter path (--results)",
    errno.ELOOP: "remove the link that stands there",
}
Writer = Callable[[BinaryIO], object]
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

MOVE_AWAY: Final = "move the file away with `fairtrial repair STUDY`, then run again what is missing"


def publish(
    path: Path, content: str | bytes | Writer, *, overwrite: bool = False, along: Along = NOWHERE
) -> None:
    """Write, fsync, show the file under its name; without `overwrite` an existing one is a FileExistsError.

    content: text, bytes, or a function that writes them. The temporary file lies in the same folder; the name
    is given by link (or rename), then the folder is fsynced: after a crash the file is there in full or not
    there. A full disk is a Fault with exit code 6. along: the failpoints on the way.
    """
    with writing(path):
        temporary = path.parent / f"{MARK}{os.urandom(8).hex()}.tmp"
        try:
            _write(temporary, content.encode() if isinstance(content, str) else content, along)
            failpoint(along.unnamed)
            if overwrite:
                temporary.replace(path)
                _sync_folder(path.parent)
            else:
                publish_file(temporary, path)
            failpoint(along.named)
        finally:
            # renamed away when it was an overwrite
            temporary.unlink(missing_ok=True)


def refuse_without_links(*folders: Path) -> None:
    """Try a hard link in folders, which are made; a Fault (exit code 6) before any cell is spent.

    Where one may not be written to, or its file system has no hard links.
    """
    make_folders(*folders)
    for folder in folders:
        first, second = (folder / f"{MARK}{os.urandom(8).hex()}.tmp" for _ in range(2))
        with writing(folder / "a hard link"):
            try:
                open_part(first, append=False).close()
                second.hardlink_to(first)
            finally:
                for path in (first, second):
                    path.unlink(missing_ok=True)


def publish_file(temporary: Path, path: Path) -> None:
    """Give a file that is on the disk a second name that is free, and keep the name through a crash."""
    path.hardlink_to(temporary)
    _sync_folder(path.parent)


def publish_folder(part: Path, path: Path) -> None:
    """Give a filled folder its name, in place of an older one."""
    with writing(path):
        if path.exists():
            from shutil import rmtree  # it loads every kind of compression

            rmtree(path)
        part.rename(path)
        _sync_folder(path.parent)


def make_folders(*folders: Path) -> None:
    """Make folders that are not there, with those above them."""
    for folder in folders:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)


def refuse_links(folder: Path, parts: Iterable[str]) -> None:
    """Refuse (exit code 3) parts of a folder that are links: writing and deleting would follow them."""
    links = [folder / part for part in sorted(parts) if (folder / part).is_symlink()]
    do = "remove the link; to keep results elsewhere, let the whole folder be a link"
    what = "{} is a link: nothing is written or deleted where it leads"
    if links:
        raise Fault([Problem(what.format(link.name), str(link), do) for link in links], BAD_INPUT)


def sweep(*folders: Path) -> list[Path]:
    """Delete the temporary files that a crash left in folders -> their paths."""
    left = [path for folder in folders for path in folder.glob(f"{MARK}*.tmp")]
    for path in left:
        path.unlink(missing_ok=True)
    return left


def move_aside(path: Path, folder: Path) -> Path:
    """Move a file into a folder, under a name that is free there -> its new path."""
    with writing(folder):
        folder.mkdir(exist_ok=True)
        return path.rename(folder / f"{time.time_ns()}-{path.name}")


def open_part(path: Path, *, append: bool) -> BinaryIO:
    """Open a file that grows until `publish_file` names it; a link is never followed."""
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_APPEND if append else os.O_CREAT | os.O_EXCL)
    return os.fdopen(os.open(path, flags, 0o666), "ab" if append else "wb")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """An OSError while `path` is written becomes a Fault with exit code 6; a FileExistsError stays one."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        do = advice(error) or "check that the folder is there and may be written to"
        if error.errno in _NO_LINKS:
            do = _LINKS
        what = f"could not write {path.name}: {error.strerror}"
        raise fault(what, str(path.parent), do, RESOURCES) from error


def advice(error: OSError) -> str | None:
    """Return what helps against an error while something is written; None where its number does not say."""
    return _ADVICE.get(error.errno or 0)


def _write(path: Path, content: bytes | Writer, along: Along) -> None:
    handle = os.open(path, _NEW, 0o666)
    try:
        failpoint(along.opened)
        if callable(content):
            with os.fdopen(handle, "wb", closefd=False) as file:
                content(file)
        else:
            half = len(content) // 2 if along.half else 0
            _write_all(handle, content[:half])
            failpoint(along.half)
            _write_all(handle, content[half:])
        failpoint(along.written)
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(handle: int, content: bytes) -> None:
    # near a limit a write may be short
    while content:
        content = content[os.write(handle, content) :]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_json(path: Path, *, cap: int = RECORD_CAP) -> dict[str, Any]:
    """A JSON object from a file; FileNotFoundError, or a Fault that says where the file breaks off."""
    try:
        data = read_file(path, cap)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise fault(f"could not read: {error.strerror}", str(path), MOVE_AWAY, BAD_INPUT) from None
    return json_object(data, str(path))


def json_object(data: bytes, where: str, do: str = MOVE_AWAY) -> dict[str, Any]:
    """The JSON object that some bytes are; a Fault that says where they break off."""
    try:
        text = data.decode("utf-8")
        value = _DECODER.decode(text)
        if "\\u" in text and "\\ud" in text.lower():
            json.dumps(value, ensure_ascii=False).encode()  # refuses a lone \ud800
    except UnicodeDecodeError as error:
        place = f"{where}, byte {error.start} of {len(data)}"
        raise fault(f"not UTF-8 text ({error.reason})", place, do, BAD_INPUT) from None
    except json.JSONDecodeError as error:
        place = f"{where}, byte {len(text[: error.pos].encode())} of {len(data)}"
        raise fault(f"not a whole JSON object: {error.msg}", place, do, BAD_INPUT) from None
    except (RecursionError, ValueError) as error:
        raise fault(f"not a JSON object that can be trusted: {error}", where, do, BAD_INPUT) from None
    brackets = text.count("{") + text.count("[")
    if not isinstance(value, dict) or (brackets > DEPTH_CAP and _depth(value) > DEPTH_CAP):
        what = f"a JSON {type(value).__name__} where a flat object is expected"
        raise fault(what, where, do, BAD_INPUT)
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text} is no JSON number")
    return value


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


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
