"""One immutable file per attempt; a study's folder and the table read from it.

results/<study>/study.json                    what was declared, with its hash, its history, its pilots
results/<study>/cells/<cell>-<attempt>.json   one finished attempt
results/<study>/leases/<cell>-<attempt>.json  one running attempt
results/<study>/calibration-<digest>.json     measured seconds per step of each arm
results/<study>/weights/                      what a study that pre-trains has trained
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fairtrial.errors import BAD_INPUT, REFUSED, Fault, Problem, Shortage, fault, shown
from fairtrial.failpoints import RESULT
from fairtrial.storage import atomic, cell_checkpoints, lock
from fairtrial.storage.calibrations import Calibration, calibration_text, oldest_first, read_calibration
from fairtrial.storage.declaration import declaration_text, read_declaration
from fairtrial.storage.integrity import PUT_BACK, Newer, Record, sealed
from fairtrial.storage.lease import Lease, read_lease
from fairtrial.storage.outcomes import has_outcome, outcomes
from fairtrial.storage.record import Attempt, read
from fairtrial.storage.study_folders import open_study, record_files, unmade
from fairtrial.study.factors import recorded_digest, without_defaults
from fairtrial.study.identity import canonical
from fairtrial.study.study import Study


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

    def declared(self) -> Record:
        """What study.json holds; a Fault when it is missing, damaged, newer or edited."""
        try:
            return _read_possible(self.folder / "study.json")
        except FileNotFoundError:
            do = f"run it first: fairtrial run {self.name}"
            raise fault("no study is recorded here", str(self.folder / "study.json"), do, BAD_INPUT) from None

    def declare(self, study: Study, *, alone: bool = True) -> None:
        """Record what is about to run; a changed declaration joins the history with what was known then.

        alone: whether no other driver runs; beside one, a change is refused.
        """
        declaration, history = study.declaration(), list[Record]()
        # a version control keeps no empty folder
        atomic.make_folders(self.folder / "cells", self.folder / "leases")
        if (self.folder / "study.json").exists():
            past = self.declared()
            history, told = past["history"], past.get("pilots", "") == study.pilots
            if (same := self.declared_as(study) is not None) and told:
                return
            if not alone:
                what = "parts of this study are being run under another declaration"
                do = "give every part the same options, or wait until the others end"
                raise fault(what, str(self.folder / "study.json"), do, REFUSED)
            if same:
                self.publish_declaration(past["declaration"], history, study.pilots)
                return
        finished = outcomes(self.attempts(), study.failures)
        frame = declaration | {"primary": 0, "secondary": 0, "question": 0}
        contrasts = {each.name: recorded_digest([each.record(), frame]) for each in study.contrasts}
        seen = self._seen(study, finished)
        entry = {"hash": recorded_digest(declaration), "contrasts": contrasts, "seen": seen}
        self.publish_declaration(declaration, [*history, entry], study.pilots)

    def declared_as(self, study: Study) -> str | None:
        """Return the hash under which a study stands declared here; or None; another study is refused."""
        if (hashes := self.hashes()) is None:
            return None
        past, now = self.declared()["declaration"], study.declaration()
        self._same_study(past, now)
        return hashes[-1] if without_defaults(past) == without_defaults(now) else None

    def publish_declaration(self, declaration: Record, history: Sequence[Record], pilots: str) -> None:
        """Write study.json; nothing in it is checked here."""
        text = declaration_text(declaration, history, pilots)
        atomic.publish(self.folder / "study.json", text, overwrite=True)

    def _seen(self, study: Study, finished: Mapping[str, Attempt]) -> int:
        """How many outcomes of the study were recorded by now; of a tuned study any beside its trials."""
        if study.tuning is not None:
            return sum(attempt.settings.stage != "tuning" for attempt in finished.values())
        return sum(cell.id in finished for cell in study.cells())

    def _same_study(self, past: Record, now: Record) -> None:
        theirs, ours = (f"{one['study']} (preset {one['preset']})" for one in (past, now))
        if theirs != ours:
            what = f"this folder holds study {theirs}, not {ours}"
            raise fault(what, str(self.folder), "give the other study its own --results folder", REFUSED)

    def hashes(self) -> tuple[str, ...] | None:
        """The hash of every declaration that was run here, oldest first; None where nothing is declared."""
        if not (self.folder / "study.json").exists():
            return None
        return tuple(entry["hash"] for entry in self.declared()["history"])

    def weights(self, cell: str, attempt: int) -> Path:
        """The file that keeps what an attempt has trained."""
        return self.folder / "weights" / f"{cell}-{attempt}.safetensors"

    def publish(self, attempt: Attempt) -> bool:
        """Publish one attempt; False when its number is already taken: then the file that stands counts."""
        text = sealed(attempt.as_json())
        path = self._file("cells", attempt.cell, attempt.number)
        if len(text.encode()) > atomic.RECORD_CAP:
            what = f"a record of {len(text.encode()):,} bytes; at most {atomic.RECORD_CAP:,} are read back"
            raise fault(what, str(path), "use a smaller test split", BAD_INPUT)
        published = False
        with contextlib.suppress(FileExistsError):
            atomic.publish(path, text, along=RESULT)
            published = True
            if outcomes([attempt]):
                cell_checkpoints.drop(self.folder, attempt.cell)
        self.release(attempt.cell, attempt.number)
        return published

    def attempt(self, cell: str, attempt: int) -> Attempt:
        """One published attempt."""
        return read(self._file("cells", cell, attempt))

    def attempts(self) -> list[Attempt]:
        """Every attempt, by cell and number; damaged files are one Fault that lists them all."""
        good, faults = self.read_attempts()
        if faults:
            raise atomic.gather(faults)
        ids = sorted({attempt.study for attempt in good})
        if len(ids) > 1:
            what = f"the records of {len(ids)} studies lie in one folder: {', '.join(ids)}"
            raise fault(what, str(self.folder / "cells"), "give each study its own folder", BAD_INPUT)
        return good

    def read_attempts(self) -> tuple[list[Attempt], list[Fault]]:
        """The attempts that can be trusted, and a Fault for each file that cannot, study.json included."""
        good, faults, hashes = [], [], None
        try:
            hashes = self.hashes()
        except Fault as error:
            faults.append(error)
        for path in record_files(self.folder / "cells"):
            try:
                good.append(_read_own(path, hashes))
            except Shortage:
                raise
            except Fault as error:
                faults.append(error)
        return sorted(good, key=lambda attempt: (attempt.cell, attempt.number)), faults

    def _file(self, part: str, cell: str, attempt: int) -> Path:
        return self.folder / part / f"{cell}-{attempt}.json"

    def lease(self, cell: Record, attempt: int, pid: int, origin: Record) -> None:
        """Say who works on an attempt: all that is needed to close it when nobody is left to do so."""
        lease = {"cell": cell, "attempt": attempt, "pid": pid, "origin": origin, "started": time.time()}
        atomic.publish(self._file("leases", cell["id"], attempt), json.dumps(lease), overwrite=True)
        self.renew(cell["id"], attempt, 0.0)

    def renew(self, cell: str, attempt: int, ran_s: float) -> None:
        """Note how long an attempt has run, as the age of its lease: it bounds what a crash can lose."""
        path = self._file("leases", cell, attempt)
        with contextlib.suppress(FileNotFoundError):  # its worker has just published
            seen = read_lease(path).started + ran_s  # the driver's own clock: a wall clock may jump
            os.utime(path, (seen, seen), follow_symlinks=False)

    def release(self, cell: str, attempt: int) -> None:
        """Drop a lease; dropping it twice is fine."""
        self._file("leases", cell, attempt).unlink(missing_ok=True)

    def abandoned(self) -> list[tuple[Lease, float]]:
        """Every lease, with the seconds it ran; they are abandoned if the asker holds the lock."""
        found = []
        for path in record_files(self.folder / "leases"):
            with contextlib.suppress(FileNotFoundError):
                lease = read_lease(path)
                found.append((lease, max(0.0, path.stat().st_mtime - lease.started)))
        return found

    def calibrate(self, step_s: Mapping[str, float], origin: Record, **measured: object) -> None:
        """Add a measured calibration, fields as in `Calibration`; earlier ones stay."""
        made = {"step_s": dict(step_s), "after": len(self._calibration_files()), **measured}
        name, text = calibration_text(made, origin)
        with contextlib.suppress(FileExistsError):
            atomic.publish(self.folder / name, text)

    def calibrations(self) -> list[Calibration]:
        """Calibrations, oldest first; those from before they had a time have a number."""
        return oldest_first({path: read_calibration(path) for path in self._calibration_files()})

    def _calibration_files(self) -> list[Path]:
        return [path for path in record_files(self.folder) if path.name.startswith("calibration-")]

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only driver of this study."""
        new = open_study(self.folder)
        with lock.hold_whole(self.folder) as refuse_moved, unmade(new, refuse_moved):
            yield

    @contextlib.contextmanager
    def driving(self, study: Study, part: tuple[int, int] | None) -> Iterator[Callable[[], None]]:
        """Be the driver of this study. part: (i, n), the i-th of n, alone; it is declared by then.

        What is yielded is a Fault once its folder has moved.
        """
        new = open_study(self.folder)

        def begin(alone: bool) -> None:
            if alone:
                self.sweep()
            atomic.refuse_without_links(self.folder / "leases", self.folder / "cells")
            if part is not None:
                self.declare(study, alone=alone)

        held = lock.hold_whole(self.folder) if part is None else lock.hold_part(self.folder, *part, begin)
        with held as refuse_moved, unmade(new, refuse_moved), lock.staying(self.folder):
            if part is None:
                begin(True)
            yield refuse_moved

    def sweep(self) -> list[Path]:
        """Delete what a crash left of files; only who runs alone may ask."""
        left = atomic.sweep(self.folder, *(self.folder / part for part in ("cells", "leases", "weights")))
        return left + cell_checkpoints.sweep(self.folder, lambda cell: has_outcome(self.folder, cell))

    def set_aside(self) -> list[Path]:
        """Move files that cannot be trusted into damaged/, so that their cells run again."""
        moved = []
        for path, opened in self._readers():
            try:
                opened(path)
            except (Newer, Shortage):
                raise
            except Fault:
                moved.append(atomic.move_aside(path, self.folder / "damaged"))
        return moved

    def _readers(self) -> Iterator[tuple[Path, Callable[[Path], object]]]:
        yield from ((path, _read_possible) for path in self.folder.glob("study.json"))
        hashes = self.hashes()  # none of a damaged declaration: it has been moved away by now
        cells = record_files(self.folder / "cells")
        yield from ((path, lambda path: _read_own(path, hashes)) for path in cells)
        yield from ((path, read_lease) for path in record_files(self.folder / "leases"))
        yield from ((path, read_calibration) for path in self._calibration_files())
        yield from ((path, cell_checkpoints.read) for path in cell_checkpoints.files(self.folder))


@lru_cache(maxsize=32)
def _declaration_flaws(text: str) -> tuple[str, ...]:
    """Say why no study can have this declaration, given as canonical JSON; empty where one can."""
    try:
        Study.of(json.loads(text))
    except Fault as error:
        return tuple(problem.what for problem in error.problems)
    # parts of another type than a study writes, such as a contrast without a side
    except (TypeError, KeyError, ValueError, AttributeError, IndexError, OverflowError) as error:
        return (f"no study can be made of it: {type(error).__name__}: {shown(str(error))}",)
    return ()


def _read_possible(path: Path) -> Record:
    """Return study.json; a Fault where no study could have declared it."""
    record = read_declaration(path)
    if flaws := _declaration_flaws(canonical(record["declaration"])):
        raise Fault([Problem(f"declaration: {flaw}", str(path), PUT_BACK) for flaw in flaws], BAD_INPUT)
    return record


def _read_own(path: Path, hashes: Collection[str] | None) -> Attempt:
    """Return the attempt of a file; a Fault where it ran under none of these declarations. None: unknown."""
    try:
        attempt = read(path)
    except FileNotFoundError:
        what = "no file: a link to nothing, or it was moved away just now"
        raise fault(what, str(path), "put the file back, or `fairtrial repair STUDY`", BAD_INPUT) from None
    ran_under = attempt.provenance.declaration
    if ran_under is not None and hashes is not None and ran_under not in hashes:
        what = f"it ran under declaration {ran_under[:12]}..., which the history in study.json does not hold"
        do = "put back the study.json that it ran under, or move the record away: `fairtrial repair STUDY`"
        raise fault(what, str(path), do, BAD_INPUT)
    return attempt
