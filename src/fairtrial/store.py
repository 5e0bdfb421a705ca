"""One immutable file per attempt; a study's folder and the table read from it.

    results/<study>/study.json                    what was declared, with its hash and its history
    results/<study>/cells/<cell>-<attempt>.json   one finished attempt
    results/<study>/leases/<cell>-<attempt>.json  one running attempt
    results/<study>/calibration-<n>.json          measured seconds per step, for forecasts and budgets in seconds
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fairtrial import files, lock
from fairtrial.errors import BAD_INPUT, REFUSED, Fault, fault
from fairtrial.study import Cell, Study, digest

SCHEMA: Final = 1
OUTCOMES: Final = ("done", "diverged", "oom", "timeout", "error")  # these end a cell
FAILED: Final = ("diverged", "oom", "timeout", "error")  # these score chance accuracy
ENDED: Final = ("killed", "interrupted")  # these leave the cell pending
MOST_KILLS: Final = 3  # a cell that takes its job down this often is an error
STUDY_CAP: Final = 4 * 1024 * 1024
_FILE: Final = re.compile(r"([0-9a-f]{12})-([0-9]+)\.json")

Record = dict[str, Any]


@dataclass(frozen=True)
class Store:
    """The folder of one study."""

    folder: Path

    @classmethod
    def of(cls, study: Study, results: Path) -> Store:
        """The folder that belongs to a study."""
        return cls(results / study.id)

    @property
    def name(self) -> str:
        """The study's id, as the folder is called."""
        return self.folder.name

    # declaration

    def declared(self) -> Record:
        """What study.json holds; a Fault when it is missing, damaged, newer or edited."""
        path = self.folder / "study.json"
        if not path.exists():
            raise fault("no study is recorded here", str(path), f"run it first: fairtrial run {self.name}", BAD_INPUT)
        record = files.read_json(path, cap=STUDY_CAP)
        _check_schema(record, path)
        if digest(record["declaration"]) != record["history"][-1]["hash"]:
            do = "put the declared text back from version control, or start in another --results folder"
            raise fault("the declaration was edited after it was hashed", str(path), do, BAD_INPUT)
        return record

    def declare(self, study: Study) -> None:
        """Record what is about to run; a changed declaration is added to the history with what was known by then."""
        declaration = study.declaration()
        history: list[Record] = []
        if (self.folder / "study.json").exists():
            past = self.declared()
            self._same_study(past["declaration"], declaration)
            history = past["history"]
            if history[-1]["hash"] == digest(declaration):
                return
        else:
            (self.folder / "cells").mkdir(parents=True, exist_ok=True)
            (self.folder / "leases").mkdir(exist_ok=True)
        finished = {record["cell"] for record in self.attempts() if record["status"] in OUTCOMES}
        contrasts = {
            contrast.name: digest([contrast.record(), declaration | {"primary": 0, "secondary": 0, "question": 0}])
            for contrast in study.contrasts
        }
        entry = {
            "hash": digest(declaration),
            "contrasts": contrasts,
            "seen": sum(cell.id in finished for cell in study.cells()),
        }
        record = {"schema": SCHEMA, "declaration": declaration, "history": [*history, entry]}
        text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        files.publish(self.folder / "study.json", text, overwrite=True)

    def _same_study(self, past: Record, now: Record) -> None:
        theirs, ours = (f"{one['study']} (preset {one['preset']})" for one in (past, now))
        if theirs != ours:
            what = f"this folder holds study {theirs}, not {ours}"
            raise fault(what, str(self.folder), "give the other study its own --results folder", REFUSED)

    # attempts

    def publish(self, record: Record) -> bool:
        """Publish one attempt; False when this attempt number is already taken (a late result is superseded)."""
        record = {**record, "sha256": digest(record)}
        path = self.folder / "cells" / f"{record['cell']}-{record['attempt']}.json"
        try:
            files.publish(path, json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
        except FileExistsError:
            return False
        self.release(record["cell"], record["attempt"])
        return True

    def attempts(self) -> list[Record]:
        """Every attempt, by cell and number; damaged files are one Fault that lists them all."""
        good, faults = self.read_attempts()
        if faults:
            raise files.gather(faults)
        return good

    def read_attempts(self) -> tuple[list[Record], list[Fault]]:
        """The attempts that can be trusted, and a Fault for each file that cannot."""
        good, faults = [], []
        for path in sorted((self.folder / "cells").glob("*.json")):
            try:
                good.append(_read_attempt(path))
            except Fault as error:
                faults.append(error)
        return sorted(good, key=lambda record: (record["cell"], record["attempt"])), faults

    # leases

    def lease(self, cell: str, attempt: int, pid: int) -> None:
        """Say who works on an attempt; its file's age bounds what a crash can lose."""
        text = json.dumps({"pid": pid, "started": time.time()})
        files.publish(self._lease(cell, attempt), text, overwrite=True)

    def renew(self, cell: str, attempt: int) -> None:
        """Touch a lease, so that lost seconds are known to within one heartbeat."""
        with contextlib.suppress(FileNotFoundError):
            os.utime(self._lease(cell, attempt))

    def release(self, cell: str, attempt: int) -> None:
        """Drop a lease; dropping it twice is fine."""
        self._lease(cell, attempt).unlink(missing_ok=True)

    def abandoned(self) -> list[tuple[str, int, float]]:
        """(cell, attempt, seconds it ran) of each lease; only the holder of the lock may ask."""
        found = []
        for path in sorted((self.folder / "leases").glob("*.json")):
            if match := _FILE.fullmatch(path.name):
                started = files.read_json(path).get("started", path.stat().st_mtime)
                found.append((match[1], int(match[2]), max(0.0, path.stat().st_mtime - started)))
        return found

    def _lease(self, cell: str, attempt: int) -> Path:
        return self.folder / "leases" / f"{cell}-{attempt}.json"

    # calibrations

    def calibrate(self, record: Record) -> None:
        """Add a measured calibration; earlier ones stay."""
        self.folder.mkdir(parents=True, exist_ok=True)
        number = len(self.calibrations()) + 1
        record = {"schema": SCHEMA, **record}
        text = json.dumps({**record, "sha256": digest(record)}, indent=1, allow_nan=False) + "\n"
        files.publish(self.folder / f"calibration-{number}.json", text)

    def calibrations(self) -> list[Record]:
        """Calibrations, oldest first."""
        paths = sorted(self.folder.glob("calibration-*.json"), key=lambda path: int(path.stem.split("-")[1]))
        return [_checked(path, files.read_json(path, cap=STUDY_CAP)) for path in paths]

    # housekeeping

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only driver of this study."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with lock.hold(self.folder / ".lock"):
            yield

    def sweep(self) -> list[Path]:
        """Delete temporary files that a crash left; only the holder of the lock may ask."""
        left = [path for folder in ("", "cells", "leases") for path in (self.folder / folder).glob(f"{files.MARK}*.tmp")]
        for path in left:
            path.unlink(missing_ok=True)
        return left

    def set_aside(self) -> list[Path]:
        """Move attempt files that cannot be trusted into damaged/, so that their cells run again."""
        moved = []
        for path in sorted((self.folder / "cells").glob("*.json")):
            try:
                _read_attempt(path)
            except Fault:
                (self.folder / "damaged").mkdir(exist_ok=True)
                target = self.folder / "damaged" / f"{time.time_ns()}-{path.name}"
                moved.append(path.rename(target))
        return moved


def _read_attempt(path: Path) -> Record:
    record = _checked(path, files.read_json(path))
    match = _FILE.fullmatch(path.name)
    if not match or (match[1], int(match[2])) != (record.get("cell"), record.get("attempt")):
        what = f"the file is called {path.name}, but holds attempt {record.get('attempt')} of {record.get('cell')}"
        raise fault(what, str(path), "remove the copy", BAD_INPUT)
    return record


def _checked(path: Path, record: Record) -> Record:
    _check_schema(record, path)
    told = record.pop("sha256", None)
    if told != digest(record):
        what = f"the record was edited: its sha256 is {digest(record)[:12]}..., it says {str(told)[:12]}..."
        do = "put the file back from version control, or move it away with `fairtrial repair STUDY`"
        raise fault(what, str(path), do, BAD_INPUT)
    return record


def _check_schema(record: Record, path: Path) -> None:
    schema = record.get("schema")
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise fault(f"schema is {schema!r}, not a version number", str(path), "is it a fairtrial file?", BAD_INPUT)
    if schema > SCHEMA:
        what = f"written by a newer fairtrial: schema {schema}, this one reads up to {SCHEMA}"
        raise fault(what, str(path), "install a newer fairtrial", BAD_INPUT)


def outcomes(attempts: Iterable[Record]) -> dict[str, Record]:
    """Cell -> the attempt that counts: its last one with an outcome."""
    return {
        record["cell"]: record
        for record in sorted(attempts, key=lambda record: record["attempt"])
        if record["status"] in OUTCOMES
    }


def rows(cells: Iterable[Cell], attempts: Iterable[Record]) -> list[Record]:
    """One flat row per declared cell, in their order; a cell without outcome has status 'pending'."""
    known = outcomes(attempts)
    return [_row(cell, known.get(cell.id)) for cell in cells]


def _row(cell: Cell, record: Record | None) -> Record:
    row = {"cell": cell.id, "arm": cell.arm, "seed": cell.seed, "replica": cell.replica, **cell.levels}
    if record is None:
        return row | {"status": "pending"}
    return row | {"status": record["status"], **record["spent"], **record["measured"]}
