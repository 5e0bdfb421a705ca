"""Download an official file, which is shown under its name only when it is sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fairtrial.errors import USAGE, did_you_mean, fault
from fairtrial.storage.download import Opener, download_file
from fairtrial.weights.bit import LARGEST, read_all
from fairtrial.weights.npz import opened
from fairtrial.weights.official_files import OFFICIAL, Official
from fairtrial.weights.weights_source import must_equal, write_side

FIRST_USE: Final = "first use: no digest is published; later reads are held to this one"


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
