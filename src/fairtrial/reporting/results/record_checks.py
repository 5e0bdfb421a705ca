"""The records of a study held against their seals, and against what follows from themselves."""

from __future__ import annotations

import base64
import binascii
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
from fairtrial.study.budget import Budget
from fairtrial.study.factors import recorded_digest
from fairtrial.study.identity import cell_id

_PUT: Final = "put the file back from version control, or pre-train again"
_BACK: Final = "put the file back from version control, or move it away with `fairtrial repair STUDY`"


def problems(store: Store) -> Iterator[Problem]:
    """Yield every record that is damaged or edited, or that contradicts itself."""
    # a study.json that cannot be read is among the faults of the attempts
    with contextlib.suppress(Fault):
        yield from _declaration(store.declared(), store.folder / DECLARATION)
    good, faults = store.read_attempts()
    for problem in (each for error in faults for each in error.problems):
        yield _pointed(problem, store.folder)
    for record in good:
        path = store.folder / "cells" / f"{record.cell}-{record.number}.json"
        for what in _contradictions(record):
            yield Problem(what, str(path), _BACK)
        yield from _checkpoint(record, store.folder / "weights")


def _declaration(declared: Record, path: Path) -> Iterator[Problem]:
    last, now = declared["history"][-1]["hash"], recorded_digest(declared["declaration"])
    if last != now:
        what = f"the declaration was edited: its hash is {now[:12]}..., its history says {last[:12]}..."
        yield Problem(what, str(path), _BACK)


def _contradictions(record: Attempt) -> Iterator[str]:
    """Say what one record says twice, and not the same."""
    settings, measured = record.settings, record.measured
    identity = cell_id(settings, Budget.parse(record.budget), record.seed, record.replica)
    if identity != record.cell:
        yield f"its settings, budget and seed are those of cell {identity}, not of {record.cell}"
    for name, level in record.levels.items():
        if (value := settings.record().get(name)) != level:
            yield f"levels.{name} is {level!r}, settings.{name} is {value!r}"
    right, n = _right(measured.correct), measured.test_n
    if right is not None and n and measured.test_acc != right / n:
        yield f"test_acc is {measured.test_acc}, but {right} of {n} images are right: {right / n}"


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


def _right(packed: str | None) -> int | None:
    """Say how many images were classified right, of one bit per image."""
    if packed is None:
        return None
    try:
        return int.from_bytes(base64.b64decode(packed, validate=True)).bit_count()
    except (binascii.Error, ValueError):
        return -1


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
