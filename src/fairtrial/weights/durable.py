"""Binary files that appear whole or not at all; files.publish is for text."""

from __future__ import annotations

import os
import secrets
from io import BufferedWriter
from pathlib import Path

from fairtrial.errors import REFUSED, fault
from fairtrial.files import MARK, writing


def publish_bytes(path: Path, data: bytes) -> None:
    """Write, fsync, show under its name; an existing file is a Fault with exit code 4."""
    with writing(path):
        temporary = path.parent / f"{MARK}{secrets.token_hex(8)}.tmp"
        try:
            with open_new(temporary) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            link_durably(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def open_new(path: Path) -> BufferedWriter:
    """A new file for writing; never one that is there, and never through a link."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666), "wb")


def link_durably(temporary: Path, path: Path) -> None:
    """Show a file that is on the disk under a free name, and keep the name through a crash."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        what = f"{path.name} is there already, and weights are never overwritten"
        raise fault(what, str(path.parent), "choose another name, or move the file away", REFUSED) from None
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
