"""One holder at a time: of a study, or of an entry of the cache; a lock vanishes with its process."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from fairtrial.errors import REFUSED, RESOURCES, Fault, fault
from fairtrial.plain_file import read_text
from fairtrial.storage.atomic import advice

WHOLE: Final = ".lock"  # of a study's folder, while all of it is run
_PART: Final = ".lock-part-"
_START: Final = ".lock-start"  # held only while a driver looks at the others
_SIGNED: Final = 4096  # bytes of what a holder writes, at most
_STARTED: Final = "%Y-%m-%d %H:%M:%S %z"
MOUNTS: Final = Path("/proc/self/mountinfo")  # proc_pid_mountinfo(5)
_MOUNTED_AT: Final = 4  # field of a line
_OCTAL: Final = re.compile(r"\\([0-7]{3})")  # a space, a tab, a newline or a backslash in it
_ELSEWHERE: Final = (
    "choose a folder on a file system with locks (Lustre: mount -o flock; NFS: start the lock service)"
)


@contextlib.contextmanager
def hold(path: Path, *, wait: bool = False) -> Iterator[Callable[[], None]]:
    """Hold the lock of a file while the block runs; calling what it yields is a Fault once that has moved.

    wait: for its holder to end; otherwise a Fault (exit code 4) names the holder. Where the file cannot be
    locked, a Fault (exit code 6) says so. The file itself stays.
    """
    # lazily: its import takes longer than most commands
    from filelock import FileLock, Timeout

    held: list[int] = []

    def sign(handle: int) -> None:
        os.ftruncate(handle, 0)
        os.pwrite(handle, _holder().encode(), 0)
        held.append(handle)

    # fallback_to_soft would be a file whose existence is the lock: it outlives a process that is killed
    lock = FileLock(path, timeout=-1 if wait else 0, mode=0o644, fallback_to_soft=False, on_acquired=sign)
    try:
        lock.acquire()
    except Timeout:
        raise _busy(path) from None
    except OSError as error:
        do = advice(error) or _ELSEWHERE
        raise fault(f"could not lock {path.name}: {error.strerror}", str(path), do, RESOURCES) from None
    try:
        yield partial(_refuse_moved, path, held[-1], path.parent)
    finally:
        # without this the next holder could be taken for us, until it has signed
        with contextlib.suppress(OSError):
            os.ftruncate(held[-1], 0)
        lock.release()


@contextlib.contextmanager
def hold_whole(folder: Path) -> Iterator[Callable[[], None]]:
    """Be the only driver of the study in a folder: neither another one nor any part of it may run.

    What is yielded is that of `hold`, here as of a part.
    """
    with contextlib.ExitStack() as held:
        with hold(folder / _START, wait=True):
            refuse_moved = held.enter_context(hold(folder / WHOLE))
            for path in _parts(folder):
                with hold(path):
                    pass
        yield refuse_moved


@contextlib.contextmanager
def hold_part(
    folder: Path, number: int, of: int, begin: Callable[[bool], None]
) -> Iterator[Callable[[], None]]:
    """Be the driver of one of `of` parts, beside those of the others; other divisions may not run with it.

    begin: is called before any other driver can start, with whether none runs now.
    """
    mine = folder / f"{_PART}{number}-of-{of}"
    with contextlib.ExitStack() as held:
        with hold(folder / _START, wait=True):
            with hold(folder / WHOLE):
                pass
            refuse_moved = held.enter_context(hold(mine))
            alone = True
            for path in _parts(folder):
                if path != mine and not _is_free(path):
                    alone = False
                    if not path.name.endswith(f"-of-{of}"):
                        raise _busy(path)
            begin(alone)
        yield refuse_moved


def began(folder: Path) -> float | None:
    """Return when the first driver of a study that has signed a lock here began; None where none has."""
    signed = []
    for path in (folder / WHOLE, *_parts(folder)):
        with contextlib.suppress(OSError, ValueError):
            text = read_text(path, _SIGNED).rpartition("started ")[2]
            signed.append(datetime.strptime(text, _STARTED).timestamp())
    return min(signed, default=None)


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{_PART}*"))


def _is_free(path: Path) -> bool:
    try:
        with hold(path):
            return True
    except Fault as error:
        if error.code != REFUSED:
            raise
        return False


@contextlib.contextmanager
def staying(folder: Path) -> Iterator[None]:
    """Say so (exit code 6) where the block fails because its folder was deleted or renamed meanwhile."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY) if folder.is_dir() else None
    try:
        yield
    except (Fault, OSError):
        if handle is not None:
            _refuse_moved(folder, handle, folder)
        raise
    finally:
        if handle is not None:
            os.close(handle)


def _refuse_moved(path: Path, handle: int, folder: Path) -> None:
    """Refuse to go on where what was opened is no longer at its path: others may lock what is there now."""
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(path.stat(), os.fstat(handle)):
            return
    what = f"the folder {folder.name} was deleted or renamed while it was worked in"
    do = "put it back, or start anew: the same command runs what is missing"
    raise fault(what, str(folder), do, RESOURCES) from None


def _busy(path: Path) -> Fault:
    holder = ""
    # the holder signs just after it got the lock
    for _ in range(20):
        with contextlib.suppress(OSError):
            holder = read_text(path, _SIGNED)
        if holder:
            break
        time.sleep(0.05)
    what = f"the study is already being run by {holder or 'another process'}"
    return fault(what, str(path), "wait until it ends, or follow it with `fairtrial status STUDY`", REFUSED)


def file_system(path: Path) -> str:
    """Return the kind of file system of a path, such as 'ext4' or 'nfs4'; '' where none can tell."""
    try:
        text = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    kinds: dict[Path, str] = {}
    for line in text.splitlines():
        mount, _, source = line.partition(" - ")
        names = mount.split(" ")
        if len(names) > _MOUNTED_AT and source:
            # the last one that was mounted at a place is what is seen there
            kinds[Path(_OCTAL.sub(lambda m: chr(int(m[1], 8)), names[_MOUNTED_AT]))] = source.split(" ")[0]
    here = path.absolute().resolve()
    return next((kinds[place] for place in (here, *here.parents) if place in kinds), "")


def _holder() -> str:
    from socket import gethostname  # needed by the one command of many that takes a lock

    return f"process {os.getpid()} on {gethostname()}, started {time.strftime(_STARTED)}"
