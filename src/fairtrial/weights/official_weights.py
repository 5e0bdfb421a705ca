"""What `fairtrial fetch` does and says: the official files that are known, and one that is fetched."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from fairtrial.errors import Fault
from fairtrial.storage import user_cache
from fairtrial.storage.atomic import read_json
from fairtrial.storage.download import state_of
from fairtrial.weights.fetch import fetch
from fairtrial.weights.official_files import OFFICIAL
from fairtrial.weights.weights_source import side_of

TICK_S: Final = 0.3  # between two readings of how much has come

Row = dict[str, Any]


def known() -> list[Row]:
    """Every official file: name, model, classes, upstream, url, and size and sha256 where they are known."""
    return [_row(name) for name in OFFICIAL]


def known_lines(rows: Iterable[Row]) -> Iterator[str]:
    """One line a file."""
    for row in rows:
        size = "" if row["size"] is None else f"  {row['size']:,} bytes"
        yield f"{row['name']:<25}{row['model']:<8}{row['upstream']}{size}"
    yield "fetch one with: fairtrial fetch NAME"


def fetched(name: str, folder: Path | None) -> Row:
    """Bring one file into a folder -> its row, with file, size, sha256 and trust.

    folder: None stands for `weights` in the cache folder. Faults are those of `fetch`.
    """
    folder = user_cache.folder() / "weights" if folder is None else folder
    with telling(folder / f"{name}.npz.part"):
        path = fetch(name, folder)
    side = read_json(side_of(path))
    return _row(name) | {"file": str(path), **{key: side.get(key) for key in ("size", "sha256", "trust")}}


def fetched_lines(row: Row) -> Iterator[str]:
    """A file as a person reads it."""
    yield f"file      {row['file']}"
    yield f"size      {row['size']:,} bytes"
    yield f"sha256    {row['sha256']}"
    yield f"upstream  {row['upstream']}"
    yield f"network   {row['model']}, {row['classes']} classes"
    yield f"trust     {row['trust']}"


@contextlib.contextmanager
def telling(part: Path) -> Iterator[None]:
    """One line on a terminal, while a download grows; nothing in a log."""
    if not sys.stderr.isatty() or os.environ.get("CI"):
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_tell, args=(part, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _tell(part: Path, ended: threading.Event) -> None:
    while not ended.wait(TICK_S):
        with contextlib.suppress(OSError, Fault, KeyError):  # not there yet, or no longer
            have, size = part.stat().st_size, read_json(state_of(part))["size"]
            words = "checking it" if have == size else f"{have / 1e6:,.0f} of {size / 1e6:,.0f} MB"
            print(f"\r\x1b[K{part.name.removesuffix('.part')}  {words}", end="", file=sys.stderr, flush=True)


def _row(name: str) -> Row:
    row = OFFICIAL[name]
    shown = ("model", "classes", "upstream", "url", "size", "sha256")
    return {"name": name, **{key: getattr(row, key) for key in shown}}
