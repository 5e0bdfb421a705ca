"""Where weights came from: a file's record, and the side file that later reads are held to."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any

from fairtrial.errors import BAD_INPUT, REFUSED, Fault, fault
from fairtrial.installation import shipped
from fairtrial.plain_file import open_file
from fairtrial.storage.atomic import publish, read_json


@dataclass(frozen=True)
class Source:
    """A file of weights as it was read; goes into a cell's record.

    upstream: what the weights were trained on; None where nothing says so. notes: how that is known, and what
    was converted. metadata: what a checkpoint of ours was given.
    """

    file: str
    size: int  # bytes
    sha256: str
    model: str | None
    classes: int | None
    upstream: str | None
    notes: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)


@contextlib.contextmanager
def readable(path: Path) -> Iterator[BufferedReader]:
    """The open file; a Fault where there is none, or something that is no file."""
    try:
        file = open_file(path)
    except OSError as error:
        do = f"check the path; {shipped('docs') / 'weights.md'} says how to get weights"
        raise fault(f"could not read: {error.strerror}", str(path), do, BAD_INPUT) from None
    with file:
        yield file


def taken(path: Path) -> Fault:
    """The Fault of a name that is not free."""
    what = f"{path.name} is there already, and weights are never overwritten"
    return fault(what, str(path.parent), "choose another name, or move the file away", REFUSED)


def side_of(path: Path) -> Path:
    """The side file: `BiT-M-R50x1.npz.json`."""
    return path.with_name(f"{path.name}.json")


def write_side(path: Path, record: dict[str, Any]) -> None:
    """Record name, address, size and digest of a file that was fetched."""
    publish(side_of(path), json.dumps(record, indent=1, ensure_ascii=False) + "\n", overwrite=True)


def held(path: Path, file: BufferedReader) -> tuple[int, str, dict[str, Any]]:
    """(size, sha256, side record or {}) of an open file; a Fault when it differs from its side record."""
    try:
        record = read_json(side_of(path))
    except FileNotFoundError:
        record = {}
    size = file.seek(0, 2)
    must_equal(path, "bytes", record.get("size"), size)
    file.seek(0)
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    must_equal(path, "sha256", record.get("sha256"), sha256)
    return size, sha256, record


def must_equal(path: Path, what: str, expected: object, found: object) -> None:
    """A Fault when they differ; no fault where nothing is expected."""
    if expected not in (None, found):
        do = f"move the file and {side_of(path).name} away, then fetch it again"
        raise fault(f"{what}: expected {expected}, found {found}", str(path), do, BAD_INPUT)
