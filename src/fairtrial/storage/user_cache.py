"""The user's cache: what fairtrial keeps there can be made again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_NAME: Final = "fairtrial"


def folder() -> Path:
    """Return `$XDG_CACHE_HOME/fairtrial`, else `~/.cache/fairtrial` if it is there, else the system's.

    Without a home it is a folder that cannot exist, so that nothing is cached.
    """
    asked = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # the XDG specification asks to ignore a relative path
    if asked.is_absolute():
        return asked / _NAME
    try:
        usual = Path("~/.cache").expanduser() / _NAME
    except RuntimeError:
        return Path(os.devnull) / _NAME
    if usual.is_dir():
        return usual
    # lazily: its import takes longer than most commands
    from platformdirs import user_cache_path

    found = user_cache_path(_NAME, appauthor=False)
    return found if found.is_absolute() else usual
