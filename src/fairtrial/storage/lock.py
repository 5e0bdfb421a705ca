"""One driver per study: a lock that vanishes with the process that holds it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from fairtrial.errors import REFUSED, Fault, fault
from fairtrial.storage.atomic import writing


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock file's flock; a Fault with exit code 4 names whoever holds it already."""
    with writing(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        with writing(path):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise _busy(handle, path) from None
            os.ftruncate(handle, 0)
            os.pwrite(handle, _me().encode(), 0)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _busy(handle: int, path: Path) -> Fault:
    for _ in range(20):  # the holder writes its name just after it got the lock
        holder = os.pread(handle, 4096, 0).decode(errors="replace")
        if holder:
            break
        time.sleep(0.05)
    what = f"the study is already being run by {holder or 'another process'}"
    return fault(what, str(path), "wait until it ends, or follow it with `fairtrial status STUDY`", REFUSED)


def _me() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}, started {time.strftime('%Y-%m-%d %H:%M:%S %z')}"
