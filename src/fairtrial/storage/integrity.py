"""When the files of a study can be trusted: whole, sealed by their own sha256, of a known schema."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from fairtrial.errors import BAD_INPUT, Fault, Problem, fault, shown
from fairtrial.storage.atomic import read_json
from fairtrial.study.identity import digest

SCHEMA: Final = 1
STUDY_CAP: Final = 4 * 1024 * 1024  # bytes of study.json or of a calibration
_ATTEMPT: Final = (
    "study", "cell", "attempt", "status", "seed", "settings", "spent", "measured", "origin", "error",
)  # fmt: skip
_FILE: Final = re.compile(r"([0-9a-f]{12})-([1-9][0-9]*)\.json")

Record = dict[str, Any]


class Newer(Fault):
    """A file that a newer fairtrial wrote: whole, but not for this one to judge."""


def sealed(record: Record, *, indent: int | None = None) -> str:
    """The text of a file: the record and its own sha256."""
    whole = {**record, "sha256": digest(record)}
    return json.dumps(whole, indent=indent, ensure_ascii=False, allow_nan=False) + "\n"


def attempt(path: Path) -> Record:
    """One attempt; a Fault when it is damaged, edited, newer, or a copy under another name."""
    record = _opened(path, read_json(path), _ATTEMPT)
    match = _FILE.fullmatch(path.name)
    if not match or (match[1], int(match[2])) != (record["cell"], record["attempt"]):
        what = f"the file is called {path.name}, but holds {record['cell']}-{record['attempt']}"
        raise fault(what, str(path), "remove the copy, or run `fairtrial repair STUDY`", BAD_INPUT)
    return record


def declaration(path: Path) -> Record:
    """study.json: declaration and history."""
    return _opened(path, read_json(path, cap=STUDY_CAP), ("declaration", "history"))


def calibration(path: Path) -> Record:
    """A calibration: `step_s`, arm key -> seconds, and its origin."""
    return _opened(path, read_json(path, cap=STUDY_CAP), ("step_s", "origin"))


def probe(path: Path, name: str) -> Record:
    """A probe of this name: `values` and `origin`."""
    record = _opened(path, read_json(path, cap=STUDY_CAP), ("probe", "values", "origin"))
    if record["probe"] != name:
        what = f"a probe called {shown(record['probe'])} where {name!r} is expected"
        raise fault(what, str(path), "put the file back from version control", BAD_INPUT)
    return record


def lease(path: Path) -> Record:
    """A lease; it is not sealed, because nothing is concluded from it but lost seconds."""
    return _with(path, read_json(path), ("cell", "attempt", "origin", "started"))


def _opened(path: Path, record: Record, fields: tuple[str, ...]) -> Record:
    _check_schema(path, record)
    told = record.pop("sha256", None)
    if told != digest(record):
        what = f"the record was edited: its sha256 is {digest(record)[:12]}..., it says {str(told)[:12]}..."
        do = "put the file back from version control, or move it away with `fairtrial repair STUDY`"
        raise fault(what, str(path), do, BAD_INPUT)
    return _with(path, record, fields)


def _with(path: Path, record: Record, fields: tuple[str, ...]) -> Record:
    if missing := [name for name in fields if name not in record]:
        raise fault(f"the record lacks {', '.join(missing)}", str(path), "is it a fairtrial file?", BAD_INPUT)
    return record


def _check_schema(path: Path, record: Record) -> None:
    schema = record.get("schema")
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        what = f"schema is {shown(schema)}, not a version number"
        raise fault(what, str(path), "is it a fairtrial file?", BAD_INPUT)
    if schema > SCHEMA:
        what = f"written by a newer fairtrial: schema {schema}, this one reads up to {SCHEMA}"
        raise Newer(Problem(what, str(path), "install a newer fairtrial"), BAD_INPUT)
