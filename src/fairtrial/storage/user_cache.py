"""The user's cache: what fairtrial keeps there can be made again."""

from __future__ import annotations

import os
from pathlib import Path


def folder() -> Path:
    """`${XDG_CACHE_HOME:-~/.cache}/fairtrial`."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():  # as the XDG specification asks
        try:
            base = Path("~/.cache").expanduser()
        except RuntimeError:  # no home: a folder that cannot exist, so that nothing is cached
            base = Path(os.devnull)
    return base / "fairtrial"
