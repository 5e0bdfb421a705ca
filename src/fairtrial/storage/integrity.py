"""When a file can be trusted: whole, sealed by its own sha256, of a known schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from fairtrial.errors import BAD_INPUT, Fault, Problem, fault, shown
from fairtrial.storage.atomic import read_json
from fairtrial.study.identity import digest

SCHEMA: Final = 1  # of everything but attempts and declarations
STUDY_CAP: Final = 4 * 1024 * 1024  # bytes of study.json or of a calibration
PUT_BACK: Final = "put the file back from version control, or move it away with `fairtrial repair STUDY`"

Record = dict[str, Any]


class Newer(Fault):
    """A file that a newer fairtrial wrote: whole, but not for this one to judge."""


def sealed(record: Record, *, indent: int | None = None) -> str:
    """Return the text of a file: the record and its own sha256; without spaces where it is one line."""
    whole = {**record, "sha256": digest(record)}
    separators = (",", ":") if indent is None else None
    text = json.dumps(whole, indent=indent, separators=separators, ensure_ascii=False, allow_nan=False)
    return text + "\n"


def unsealed(path: Path, whole: Record, *, newest: int = SCHEMA, do: str = PUT_BACK) -> Record:
    """Return a record without its sha256; a Fault when it was edited, or is of a schema above `newest`."""
    schema = whole.get("schema")
    if type(schema) is not int or schema < 1:
        what = f"schema is {shown(schema)}, not a version number"
        raise fault(what, str(path), "is it a fairtrial file?", BAD_INPUT)
    if schema > newest:
        what = f"written by a newer fairtrial: schema {schema}, this one reads up to {newest}"
        raise Newer(Problem(what, str(path), "install a newer fairtrial"), BAD_INPUT)
    record = {name: value for name, value in whole.items() if name != "sha256"}
    seal, found = whole.get("sha256"), digest(record)
    if seal != found:
        what = f"the record was edited: its sha256 is {found[:12]}..., it says {str(seal)[:12]}..."
        raise fault(what, str(path), do, BAD_INPUT)
    return record


def same_record(one: str | bytes, other: str | bytes) -> bool:
    """Return whether two files hold one record, however they space it; `unsealed` has accepted both."""
    return one == other or json.loads(one)["sha256"] == json.loads(other)["sha256"]


def measurement(path: Path, name: str) -> Record:
    """Return the measurement of this name: `values` and `origin`."""
    record = unsealed(path, read_json(path, cap=STUDY_CAP))
    if record.get("probe") != name:
        what = f"a measurement called {shown(record.get('probe'))} where {name!r} is expected"
        raise fault(what, str(path), PUT_BACK, BAD_INPUT)
    for part in ("values", "origin"):
        if not isinstance(record.get(part), dict):
            what = f"{part}: expected an object; got {shown(record.get(part))}"
            raise fault(what, str(path), PUT_BACK, BAD_INPUT)
    return record
