"""One driver per study: a lock that vanishes with the process that holds it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from fairtrial.errors import REFUSED, fault


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock file's flock; a Fault with exit code 4 names whoever holds it already."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 4096, 0).decode(errors="replace").strip() or "another process"
            do = "wait until it ends, or follow it with `fairtrial status STUDY`"
            raise fault(f"the study is already being run by {holder}", str(path), do, REFUSED) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, _me().encode(), 0)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _me() -> str:
    started = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    return json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "started": started})
