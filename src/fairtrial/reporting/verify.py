"""Recomputes every number of a report from the records, and names each that differs.

A report is made anew in memory and compared with the one that stands. Of the kinds of files (svg, pdf, png,
csv, md, tex, html) a folder may keep some: a kind that it has no file of is noted, not missed, as long as
each document is there in one kind. What it has of a kind, it must have whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial as bind
from pathlib import Path
from typing import Any, Final

from fairtrial.errors import BAD_INPUT, Fault, Problem, Shortage, fault
from fairtrial.measurements import measurement_record as record
from fairtrial.plain_file import read_file
from fairtrial.reporting.differences import compare, count_numbers
from fairtrial.reporting.figures.figure_files import FORMATS
from fairtrial.reporting.report import full_report, latex, speed_report, study_report
from fairtrial.reporting.results import record_checks, shared_runs
from fairtrial.reporting.verdicts.study_verdicts import judge_study
from fairtrial.reporting.wording import listed, plural
from fairtrial.storage.store import Store
from fairtrial.storage.study_folders import PARTS, is_study

MOST_OF_A_FILE: Final = 2**28  # bytes of one file of a report
_ANEW: Final = "draw it anew from the records, or put it back from version control"


Files = Mapping[str, str | bytes]


@dataclass(frozen=True)
class Kind:
    """A kind of report. is_here: whether a folder holds what it is made from.

    make: (folder, partial, formats of its figures) -> its files. Nothing is made of measurements: their seals
    alone are checked here.
    """

    is_here: Callable[[Path], bool]
    problems: Callable[[Path], Iterable[Problem]]
    make: Callable[[Path, bool, Collection[str]], Files] | None


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


def _study(folder: Path, partial: bool, formats: Collection[str]) -> Files:
    study = judge_study(Store(folder), partial=partial)
    shared = shared_runs.beside(folder, shared_runs.digests(study.results)) | shared_runs.out_of_reach(folder)
    return study_report.report_files(study, formats, shared=dict(sorted(shared.items())))


def _full(folder: Path, partial: bool, formats: Collection[str]) -> Files:
    return full_report.report_files(folder.parent, partial=partial, formats=formats)[0]


def _measurements(folder: Path) -> list[Path]:
    return [path for name in record.NAMES if (path := folder / f"{name}.json").is_file()]


def _unsound(paths: Iterable[Path]) -> Iterator[Problem]:
    for path in paths:
        try:
            record.read(path, path.stem)
        except Shortage:
            raise
        except Fault as error:
            yield from error.problems


KINDS: Final = (
    Kind(
        is_study,
        lambda folder: record_checks.problems(Store(folder)),
        _study,
    ),
    Kind(
        lambda folder: any(folder.glob("*-torch-*.json")),
        lambda _: (),
        lambda folder, _, formats: speed_report.report_files(folder, formats),
    ),
    Kind(lambda folder: bool(_measurements(folder)), lambda folder: _unsound(_measurements(folder)), None),
    # the problems of its records are those of each study
    Kind(lambda folder: (folder / latex.MACROS).is_file(), lambda _: (), _full),
)


def folders(given: Path) -> list[Path]:
    """The folders with something to verify in a folder, itself included; a Fault where there is none."""
    if not given.is_dir():
        raise fault("there is no such folder", str(given), "give a study, or a folder of results", BAD_INPUT)
    inside = sorted(path for path in given.glob("**/") if path.name not in PARTS)
    found = [path for path in inside if _kind(path) is not None]
    if not found:
        do = "give a folder with a study.json, or one above it"
        raise fault("nothing is recorded in this folder", str(given), do, BAD_INPUT)
    return found


def _kind(folder: Path) -> Kind | None:
    return next((kind for kind in KINDS if kind.is_here(folder)), None)


def check(folder: Path, *, partial: bool = False) -> Checked:
    """Make the report of a folder anew and compare. partial: it was made with --allow-partial."""
    kind = _kind(folder)
    assert kind is not None, "of `folders`"
    problems = list(kind.problems(folder))
    if kind.make is None:
        return Checked(folder, 0, 0, tuple(problems), (), sealed=len(_measurements(folder)))
    if not problems:
        kept = {path.suffix[1:] for path in (folder / "figures").glob("*")} & set(FORMATS)
        try:
            expected = kind.make(folder, partial, kept or FORMATS)
        except Shortage:
            raise
        except Fault as error:
            problems += error.problems
        else:
            return compare_files(folder, expected)
    note = "nothing was recomputed: mend the records first"
    return Checked(folder, 0, 0, tuple(problems), (note,))


def compare_files(folder: Path, expected: Files) -> Checked:
    """Compare every file of a report with the one of the same name that was just made."""
    found = _derived(folder, expected)
    if not found:
        return Checked(folder, 0, 0, (), ())
    kept = {path.suffix for path in found}
    stems = {path.with_suffix("") for path in found}
    missing = [path for path in map(Path, expected) if path not in found]
    lost = [path for path in missing if path.suffix in kept or path.with_suffix("") not in stems]
    extra = [path for path in found if str(path) not in expected]
    problems, notes, numbers = _absent(folder, lost, extra), [], 0
    for path in (path for path in found if str(path) in expected):
        content = expected[str(path)]
        data = content.encode() if isinstance(content, str) else content
        try:
            kept_data = read_file(folder / path, MOST_OF_A_FILE)
        except OSError as error:
            problems.append(Problem(f"cannot be read: {error.strerror}", str(folder / path), _ANEW))
            continue
        difference = compare(path.suffix, kept_data, data)
        notes += [f"{path}: {difference.note}"] if difference.note else []
        if difference.places:
            problems.append(Problem(_places(difference.places), str(folder / path), _ANEW))
        numbers += count_numbers(path.suffix, data)
    # formats of figures that are not kept were not even drawn
    unkept = sorted(({path.suffix for path in missing} | {f".{kind}" for kind in _drawn(expected)}) - kept)
    notes += [f"not kept here, not compared: {listed(unkept)}"] if unkept else []
    return Checked(folder, len(found), numbers, tuple(problems), tuple(notes))


def _drawn(expected: Files) -> Collection[str]:
    return FORMATS if any(name.startswith("figures/") for name in expected) else ()


def _derived(folder: Path, expected: Files) -> list[Path]:
    """Return the files that a report has here: those expected, and all beside them in folders of its own."""
    own = {Path(name).parent for name in expected} - {Path()}
    beside = [path for part in own for path in (folder / part).glob("*") if path.is_file()]
    top = [folder / name for name in expected if Path(name).parent == Path() and (folder / name).is_file()]
    return sorted(path.relative_to(folder) for path in (*beside, *top))


def _absent(folder: Path, lost: Sequence[Path], extra: Sequence[Path]) -> list[Problem]:
    gone = [Problem("the file is missing", str(folder / path), _ANEW) for path in lost]
    what = "no record gives this file: nothing in it can be verified"
    return gone + [Problem(what, str(folder / path), "delete it, or keep it elsewhere") for path in extra]


def _places(places: Sequence[str]) -> str:
    count = "one place is" if len(places) == 1 else f"{len(places)} places are"
    return f"{count} not what the records say: {'; '.join(places)}"


def verify(given: Iterable[Path], *, partial: bool = False) -> list[Checked]:
    """Check each folder of those given, once; several at a time."""
    every = list(dict.fromkeys(folder for path in given for folder in folders(path)))
    return full_report.in_processes(bind(check, partial=partial), every)
