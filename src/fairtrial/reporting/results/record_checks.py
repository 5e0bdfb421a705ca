"""The records of a study held against their seals, and against what lies beside them."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fairtrial.errors import Fault, Problem
from fairtrial.plain_file import open_file, read_file
from fairtrial.reporting.results.shared_runs import SUMMARY_CAP
from fairtrial.storage.atomic import RECORD_CAP
from fairtrial.storage.integrity import Record
from fairtrial.storage.record import Attempt
from fairtrial.storage.store import Store
from fairtrial.storage.study_folders import DECLARATION
from fairtrial.study.factors import recorded_digest

_PUT: Final = "put the file back from version control, or pre-train again"
_BACK: Final = "put the file back from version control, or move it away with `fairtrial repair STUDY`"


def problems(store: Store) -> Iterator[Problem]:
    """Yield every record that cannot be trusted, and every network that is not the one of its record."""
    # a study.json that cannot be read is among the faults of the attempts
    with contextlib.suppress(Fault):
        yield from _declaration(store.declared(), store.folder / DECLARATION)
    good, faults = store.read_attempts()
    for problem in (each for error in faults for each in error.problems):
        yield _pointed(problem, store.folder)
    for record in good:
        yield from _checkpoint(record, store.folder / "weights")


def _declaration(declared: Record, path: Path) -> Iterator[Problem]:
    last, now = declared["history"][-1]["hash"], recorded_digest(declared["declaration"])
    if last != now:
        what = f"the declaration was edited: its hash is {now[:12]}..., its history says {last[:12]}..."
        yield Problem(what, str(path), _BACK)


def _checkpoint(record: Attempt, folder: Path) -> Iterator[Problem]:
    """Yield the network that a cell kept, where it still lies here, against the digest in the record."""
    kept = record.measured.checkpoint
    path = folder / kept.file if kept else folder
    if not kept or not path.is_file():
        return
    with open_file(path) as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != kept.sha256:
        what = f"sha256 of the file is {actual[:12]}..., its record says {kept.sha256[:12]}..."
        yield Problem(what, str(path), _PUT)


def _pointed(problem: Problem, folder: Path) -> Problem:
    """Return the problem, with the values of an edited record that summary.csv knows otherwise."""
    path = Path(problem.where.partition(", byte")[0])
    otherwise = "; ".join(_against_summary(path, folder / "summary.csv"))
    return Problem(f"{problem.what}; {otherwise}" if otherwise else problem.what, problem.where, problem.do)


def _against_summary(path: Path, summary: Path) -> Iterator[str]:
    try:
        record = json.loads(read_file(path, RECORD_CAP))
        lines = read_file(summary, SUMMARY_CAP).decode().splitlines()
        rows = {row["cell"]: row for row in csv.DictReader(lines)}
        held = {**record["spent"], **record["measured"], "status": record["status"], "seed": record["seed"]}
        row = rows[record["cell"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, csv.Error):
        return
    for name, value in held.items():
        text = "" if value is None else str(value)
        if name in row and row[name] != text:
            yield f"{name} is {text or 'nothing'}, summary.csv has {row[name] or 'nothing'}"
