"""Another kind of file system for one command: it is mounted for its process alone, and goes with it."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

import pytest

_HOW: Final = {
    "noexec": 'mount -t tmpfs -o noexec,size=64m none "$0"',
    "read-only": 'mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"',
}


def within(kind: str, folder: Path) -> list[str]:
    """What stands before a command that sees a folder so; skips the test where nothing may be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    if (reason := _refused()) is not None:
        pytest.skip(f"nothing can be mounted here: {reason}")
    return ["unshare", "--mount", "sh", "-ec", f'{_HOW[kind]}; exec "$@"', str(folder)]


@cache
def _refused() -> str | None:
    if os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("mount")):
        return "it takes root, unshare and mount"
    tried = ["unshare", "--mount", "sh", "-ec", "mount -t tmpfs none /mnt"]
    asked = subprocess.run(tried, capture_output=True, text=True, timeout=60)
    return None if asked.returncode == 0 else asked.stderr.strip() or "mount refused"
