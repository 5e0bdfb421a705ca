"""`fairtrial fetch`: the official files that are known, and one that is downloaded and found sound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from fairtrial.errors import USAGE, did_you_mean, fault
from fairtrial.screen import working
from fairtrial.storage import user_cache
from fairtrial.storage.atomic import read_json
from fairtrial.storage.download import Opener, download_file, telling
from fairtrial.weights.bit import LARGEST, read_all
from fairtrial.weights.npz import opened
from fairtrial.weights.official_files import OFFICIAL, Official
from fairtrial.weights.weights_source import must_equal, side_of, write_side

FIRST_USE: Final = "first use: no digest is published; later reads are held to this one"

Row = dict[str, Any]


def fetch(name: str, folder: Path | str, *, opener: Opener | None = None) -> Path:
    """Return the path of an official file in `folder`, downloaded if it is not there.

    A file that is there is held to its side record, which names address, size and digest; what was broken off
    is continued from its `.part`. opener: Request -> response, in place of the network.
    """
    if name not in OFFICIAL:
        what = f"no official file is called {name!r}{did_you_mean(name, OFFICIAL)}"
        raise fault(what, "name", f"choose one of {', '.join(OFFICIAL)}", USAGE)
    row, path = OFFICIAL[name], Path(folder) / f"{name}.npz"

    def check(part: Path, state: dict[str, Any]) -> None:
        _examine(part, name, row, path, state)

    if path.exists() or not download_file(row.url, path, check, most=LARGEST, size=row.size, opener=opener):
        check(path, {})
    return path


def _examine(file: Path, name: str, row: Official, path: Path, state: dict[str, Any]) -> None:
    """Digest, or else structure, checksums and values, with a side record of them for `path`."""
    with opened(file, most=LARGEST) as npz:
        must_equal(file, "bytes", row.size, npz.size)
        must_equal(file, "sha256", row.sha256, npz.sha256)
        if npz.side.get("sha256"):
            return
        read_all(npz, row)
    record = {
        "name": name,
        "url": row.url,
        "size": npz.size,
        "sha256": npz.sha256,
        "etag": state.get("etag"),
        "trust": "pinned" if row.sha256 else FIRST_USE,
    }
    write_side(path, record)


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
    with working("fetching") as tell, telling(tell):
        path = fetch(name, folder)
    side = read_json(side_of(path))
    facts = {"file": str(path), "size": path.stat().st_size, "sha256": side.get("sha256")}
    return _row(name) | facts | {"trust": side.get("trust")}


def fetched_lines(row: Row) -> Iterator[str]:
    """A file as a person reads it."""
    yield f"file      {row['file']}"
    yield f"size      {row['size']:,} bytes"
    yield f"sha256    {row['sha256']}"
    yield f"upstream  {row['upstream']}"
    yield f"network   {row['model']}, {row['classes']} classes"
    yield f"trust     {row['trust']}"


def _row(name: str) -> Row:
    row = OFFICIAL[name]
    shown = ("model", "classes", "upstream", "url", "size", "sha256")
    return {"name": name, **{key: getattr(row, key) for key in shown}}
