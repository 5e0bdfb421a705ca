"""An image folder in a zip or tar file, unpacked into the cache once, through a folder that appears whole.

zipfile and tarfile read the members; they are written here under names that were checked here, because the
libraries' own checks differ between versions of Python and were bypassed before (CVE-2025-4517).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from io import BufferedReader
from pathlib import Path

from fairtrial.data.archive_members import CHUNK, SUFFIXES, Member, checked, damage
from fairtrial.data.split_arrays import Arrays, Source
from fairtrial.errors import BAD_INPUT, Fault, fault
from fairtrial.plain_file import open_file
from fairtrial.storage import lock, user_cache
from fairtrial.storage.atomic import publish, publish_folder, read_json, writing

_log = logging.getLogger(__name__)


def is_archive(path: Path) -> bool:
    """By its name; a folder that is called `pets.zip` is a folder."""
    return path.name.lower().endswith(SUFFIXES) and not path.is_dir()


def source(path: Path, walk: Callable[[Path], Source]) -> Source:
    """What `walk` makes of the unpacked folder; its faults name members of the archive."""
    folder = unpacked(path)
    with _as_members(path, folder):
        found = walk(folder)

    def build(resolution: int | None) -> Arrays:
        with _as_members(path, folder):
            return found.build(resolution)

    return Source(found.stamp, build)


def unpacked(path: Path) -> Path:
    """The folder of an archive that holds train/ and test/, in `archives/SHA256` of the cache folder.

    A Fault (exit 3) names each member that is refused, before any of them is written. Files that were added,
    cut or lost in the cache since are noticed by their number and bytes, and unpacked again.
    """
    with _readable(path) as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        target = user_cache.folder() / "archives" / sha256
        if not _whole(target):
            if target.exists():
                _log.warning("the unpacked files of %s have changed (%s); unpacking again", path, target)
            with checked(path, file) as members:
                fill_folder(target, partial(_fill, path, members, target), _whole)
    tops = [entry for entry in target.iterdir() if (entry / "train").is_dir()]
    return tops[0] if len(tops) == 1 and not (target / "train").exists() else target


def fill_folder(
    target: Path,
    fill: Callable[[Path], None],
    whole: Callable[[Path], bool],
    keep: Callable[[Path], bool] = lambda file: False,
) -> None:
    """Show a folder under its name once `fill` has filled it; what breaks off leaves `NAME.part` at most.

    Processes that want one folder take turns. keep: files of a `.part` that the next try may believe. A full
    disk is a Fault with exit code 6.
    """
    part = target.with_name(f"{target.name}.part")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with lock.hold(target.with_name(f".{target.name}.lock"), wait=True):
            if whole(target):
                return
            _clear(part, keep)
            part.mkdir(exist_ok=True)
            try:
                fill(part)
            except BaseException:
                _clear(part, keep)
                raise
            publish_folder(part, target)


def _clear(part: Path, keep: Callable[[Path], bool]) -> None:
    """Delete all but the files to keep; links are deleted and never followed."""
    if part.is_symlink() or part.is_file():
        part.unlink()
    for at, folders, names in os.walk(part, topdown=False):
        links = [name for name in folders if Path(at, name).is_symlink()]
        for entry in (Path(at, name) for name in names + links):
            if not keep(entry):
                entry.unlink()
        with contextlib.suppress(OSError):  # a kept file is in it
            Path(at).rmdir()


def _fill(path: Path, members: list[Member], target: Path, part: Path) -> None:
    for member in members:
        own = part.joinpath(*member.parts)
        (own if member.folder else own.parent).mkdir(parents=True, exist_ok=True)
        if not member.folder:
            with own.open("xb") as new, damage(path, member.name), member.open() as stream:
                shutil.copyfileobj(stream, new, CHUNK)
    publish(_record(target), json.dumps(_tally(part)), overwrite=True)


def _record(target: Path) -> Path:
    return target.with_name(f"{target.name}.json")


def _whole(target: Path) -> bool:
    try:
        return read_json(_record(target)) == _tally(target)
    except (FileNotFoundError, Fault):
        return False


def _tally(folder: Path) -> dict[str, int]:
    sizes = [os.lstat(Path(at, name)).st_size for at, _, names in os.walk(folder) for name in names]
    return {"files": len(sizes), "bytes": sum(sizes)}


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[BufferedReader]:
    try:
        file = open_file(path)
    except OSError as error:
        what = f"expected an archive; it cannot be read: {error.strerror}"
        raise fault(what, str(path), "check the path, or use folder:DIR", BAD_INPUT) from None
    with file:
        yield file


@contextlib.contextmanager
def _as_members(path: Path, folder: Path) -> Iterator[None]:
    """Faults about unpacked files speak of the archive that a person gave."""
    try:
        yield
    except Fault as error:
        problems = [
            replace(one, where=one.where.replace(f"{folder}/", f"{path}, ")) for one in error.problems
        ]
        raise Fault(problems, error.code) from None
