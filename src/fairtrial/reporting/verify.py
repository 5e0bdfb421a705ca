"""Recomputes every number of a report from the records, and names each that differs.

A report is drawn anew into an empty folder and held against the one that stands. Of the kinds of files (svg,
pdf, png, csv, md, tex, html) a folder may keep some: a kind that it has no file of is told, not missed, as
long as each document is there in one kind. What it has of a kind, it must have whole.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fairtrial.errors import BAD_INPUT, Fault, Problem, fault
from fairtrial.measurements import measurement_record as record
from fairtrial.reporting.comparison import compare, numbers
from fairtrial.reporting.report import full_report, speed_report, study_report
from fairtrial.reporting.results import record_checks
from fairtrial.reporting.wording import listed, plural
from fairtrial.storage.store import Store
from fairtrial.storage.study_folders import is_study

_ANEW: Final = "draw it anew from the records, or put it back from version control"


@dataclass(frozen=True)
class Kind:
    """A kind of report. is_here: whether a folder holds what it is made from. draw: (folder, to, partial).

    Nothing is drawn beside probes: their seals alone are looked at here.
    """

    is_here: Callable[[Path], bool]
    problems: Callable[[Path], Iterable[Problem]]
    draw: Callable[[Path, Path, bool], object] | None


@dataclass(frozen=True)
class Checked:
    """What was compared in one folder, and what was found."""

    folder: Path
    files: int
    numbers: int
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    sealed: int = 0  # records with nothing drawn beside them

    def line(self) -> str:
        """'results/norm: 20 files with 4,812 numbers say what the records say'."""
        if self.problems:
            return f"{self.folder}: {plural(len(self.problems), 'problem')}"
        if self.sealed:
            return (
                f"{self.folder}: {plural(self.sealed, 'record')} as sealed; the whole report draws from them"
            )
        if not self.files:
            return f"{self.folder}: no report yet"
        what = f"{plural(self.files, 'file')} with {self.numbers:,} numbers"
        return f"{self.folder}: {what} say what the records say"

    def record(self) -> dict[str, Any]:
        """As JSON; the problems are told as faults."""
        kept = {
            "files": self.files,
            "numbers": self.numbers,
            "notes": list(self.notes),
            "sealed": self.sealed,
        }
        return {"folder": str(self.folder), **kept, "problems": len(self.problems)}


def _study(folder: Path, to: Path, partial: bool) -> object:
    return study_report.build(Store(folder), allow_partial=partial, to=to)


def _probes(folder: Path) -> list[Path]:
    return [path for name in record.NAMES if (path := folder / f"{name}.json").is_file()]


def _unsound(paths: Iterable[Path]) -> Iterator[Problem]:
    for path in paths:
        try:
            record.read(path, path.stem)
        except Fault as error:
            yield from error.problems


KINDS: Final = {
    "study": Kind(
        is_study,
        lambda folder: record_checks.problems(Store(folder)),
        _study,
    ),
    "bench": Kind(
        lambda folder: any(folder.glob("*-torch-*.json")),
        lambda folder: (),
        lambda folder, to, partial: speed_report.draw(folder, to),
    ),
    "probes": Kind(
        lambda folder: bool(_probes(folder)),
        lambda folder: _unsound(_probes(folder)),
        None,
    ),
    "whole": Kind(
        lambda folder: (folder / full_report.MACROS).is_file(),
        lambda folder: (),  # of the records: each study's own
        lambda folder, to, partial: full_report.build(folder.parent, to, allow_partial=partial),
    ),
}


def folders(given: Path) -> list[Path]:
    """The folders with something to verify in a folder, itself included; a Fault where there is none."""
    if not given.is_dir():
        raise fault("there is no such folder", str(given), "give a study, or a folder of results", BAD_INPUT)
    inside = sorted(path for path in given.glob("**/") if path.name not in ("cells", "leases", "damaged"))
    found = [path for path in inside if _kind(path) is not None]
    if not found:
        do = "give a folder with a study.json, or one above it"
        raise fault("nothing is recorded in this folder", str(given), do, BAD_INPUT)
    return found


def _kind(folder: Path) -> Kind | None:
    return next((kind for kind in KINDS.values() if kind.is_here(folder)), None)


def check(folder: Path, *, partial: bool = False) -> Checked:
    """Draw the report of a folder anew elsewhere and compare. partial: it was drawn with --allow-partial."""
    kind = _kind(folder)
    assert kind is not None, "of `folders`"
    wrong = list(kind.problems(folder))
    if kind.draw is None:
        return Checked(folder, 0, 0, tuple(wrong), (), sealed=len(_probes(folder)))
    if not wrong:
        with tempfile.TemporaryDirectory(prefix="fairtrial-verify-") as name:
            try:
                kind.draw(folder, Path(name), partial)
            except Fault as error:
                wrong += error.problems
            else:
                return held(folder, Path(name))
    note = "nothing was recomputed: mend the records first"
    return Checked(folder, 0, 0, tuple(wrong), (note,))


def held(folder: Path, anew: Path) -> Checked:
    """Every file of a report beside the one of the same name in a folder that was just drawn."""
    expected = _files(anew)
    found = _derived(folder, expected)
    if not found:
        return Checked(folder, 0, 0, (), ())
    kept = {path.suffix for path in found}
    stems = {path.with_suffix("") for path in found}
    missing = [path for path in expected if path not in found]
    lost = [path for path in missing if path.suffix in kept or path.with_suffix("") not in stems]
    wrong, notes = _absent(folder, lost, [path for path in found if path not in expected]), []
    for path in (path for path in found if path in expected):
        said = compare(path.suffix, (folder / path).read_bytes(), (anew / path).read_bytes())
        notes += [f"{path}: {note}" for note in said.noted]
        if said.named:
            wrong.append(Problem(_told(said.named), str(folder / path), _ANEW))
    unkept = sorted({path.suffix for path in missing} - kept)
    notes += [f"not kept here, not compared: {listed(unkept)}"] if unkept else []
    told = sum(numbers(path.suffix, (anew / path).read_bytes()) for path in found if path in expected)
    return Checked(folder, len(found), told, tuple(wrong), tuple(notes))


def _files(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def _derived(folder: Path, expected: Sequence[Path]) -> list[Path]:
    """The files that a report has here: those expected, and all beside them in folders of its own."""
    own = {path.parent for path in expected} - {Path()}
    beside = [path for part in own for path in (folder / part).glob("*") if path.is_file()]
    top = [folder / path for path in expected if path.parent == Path() and (folder / path).is_file()]
    return sorted(path.relative_to(folder) for path in (*beside, *top))


def _absent(folder: Path, lost: Sequence[Path], more: Sequence[Path]) -> list[Problem]:
    gone = [Problem("the file is missing", str(folder / path), _ANEW) for path in lost]
    extra = "no record gives this file: nothing in it can be verified"
    return gone + [Problem(extra, str(folder / path), "delete it, or keep it elsewhere") for path in more]


def _told(named: Sequence[str]) -> str:
    count = "one place is" if len(named) == 1 else f"{len(named)} places are"
    return f"{count} not what the records say: {'; '.join(named)}"


def verify(given: Iterable[Path], *, partial: bool = False) -> Iterator[Checked]:
    """Each folder of those given, once."""
    every = dict.fromkeys(folder for path in given for folder in folders(path))
    yield from (check(folder, partial=partial) for folder in every)
