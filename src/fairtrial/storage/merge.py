"""Several folders of one study become one: `fairtrial merge`.

All is read and compared before anything is written, and what is joined stays where it lay. A file has the
same name and says the same whatever comes first, so a merge that was cut off goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from filecmp import cmp
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

from fairtrial.errors import REFUSED, Fault, Problem
from fairtrial.plain_file import open_file, read_file
from fairtrial.storage import atomic, cell_checkpoints
from fairtrial.storage.integrity import same_record
from fairtrial.storage.outcomes import of_study, outcomes
from fairtrial.storage.provenance import UNMIXED
from fairtrial.storage.record import Attempt
from fairtrial.storage.store import Store
from fairtrial.storage.study_folders import DECLARATION, is_study
from fairtrial.study.study import Study

# What a study's folder holds that cannot be made anew, in the order in which it is copied: a record names the
# file of its weights, a checkpoint's JSON its arrays, and a lease stands for an attempt that has no record.
KEPT: Final = (
    "calibration-*.json", "weights/*", "cells/*.json", "checkpoints/*.safetensors", "checkpoints/*.json",
    "leases/*.json",
)  # fmt: skip
_KEEP_ONE: Final = "keep the one that counts, and leave the other folder out"


@dataclass(frozen=True)
class Merged:
    """What one study's merge came to. copies: files that two folders held with the same content."""

    study: str
    folders: int
    ended: int
    attempts: int
    copies: int

    @property
    def line(self) -> str:
        """As a person reads it."""
        joined = f"{self.attempts} attempts from {self.folders} folders, {self.copies} files were copies"
        return f"{self.study}: {self.ended} cells have an outcome; {joined}"


@dataclass
class _Union:
    """The files of several folders under their names there, and what stands against making them one."""

    files: dict[str, Path] = field(default_factory=dict)
    copies: int = 0
    unclear: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    values: dict[Hashable, dict[Any, Path]] = field(default_factory=dict)

    def add(self, folder: Path) -> None:
        """Take in what a folder keeps."""
        for path in (path for pattern in KEPT for path in sorted(folder.glob(pattern))):
            name = str(path.relative_to(folder))
            if path.name.startswith("."):
                continue
            first = self.files.setdefault(name, path)
            if first == path:
                continue
            if cmp(first, path, shallow=False) or (name.startswith("cells/") and _same_attempt(first, path)):
                self.copies += 1
            elif cell_checkpoints.is_name(path.name):
                # no evidence: of two that differ neither comes along; the cell starts from another, or anew
                self.unclear.add(name)
            else:
                self.refuse(f"two folders hold {name}, with other content", (first, path))

    def drop_needless(self, ended: Collection[str]) -> None:
        """Leave out the lease of an attempt that ended elsewhere, and checkpoints of cells that ended."""
        for name in list(self.files):
            part, _, rest = name.partition("/")
            over = part == "leases" and f"cells/{rest}" in self.files
            if over or name in self.unclear or (part == "checkpoints" and rest[:12] in ended):
                del self.files[name]

    def note(self, what: str, key: Hashable, value: object, path: Path) -> None:
        """Refuse a second value of something that has one for all records of a study."""
        if value is None:
            return
        seen = self.values.setdefault((what, key), {value: path})
        if value not in seen:
            seen[value] = path
            other, first = next(iter(seen.items()))
            told = f"records of {what} {_short(other)} and of {what} {_short(value)} are not one study"
            self.refuse(told, (first, path))

    def refuse(self, what: str, paths: tuple[Path, Path], do: str = _KEEP_ONE) -> None:
        """Add a problem that names both files."""
        self.problems.append(Problem(what, f"{paths[0]} and {paths[1]}", do))


def _same_attempt(*paths: Path) -> bool:
    """Return whether two files, which were read as attempts, hold the same one: older files have spaces."""
    one, other = (read_file(path, atomic.RECORD_CAP) for path in paths)
    return same_record(one, other)


def _short(value: object) -> str:
    text = str(value)
    return f"{text[:12]}..." if len(text) == 64 else text


def merge(sources: Sequence[Path], into: Path, *, allow_mixed: bool = False) -> Merged:
    """Join folders of one study into one, which may hold some of it already.

    A Fault (exit code 4) names both files of each conflict: another declaration, two contents of one attempt,
    other data or weights; other code, versions, devices or threads unless `allow_mixed`.
    """
    target = Store(into)
    with contextlib.ExitStack() as held:
        held.enter_context(target.locked())
        for source in sources:
            if source.resolve() != into.resolve() and os.access(source, os.W_OK):
                held.enter_context(Store(source).locked())
        return _merge(_once([*sources, into]), target, allow_mixed)


def _once(folders: Iterable[Path]) -> list[Path]:
    """The folders that hold a study, each once."""
    return [folder for folder in {path.resolve(): path for path in folders}.values() if is_study(folder)]


def _merge(folders: Sequence[Path], target: Store, allow_mixed: bool) -> Merged:
    union = _Union()
    declared = _declared(folders, union)
    attempts: dict[tuple[str, int], Attempt] = {}
    for folder in folders:
        for attempt in Store(folder).attempts():
            attempts[attempt.cell, attempt.number] = attempt
            _note(union, attempt, folder, allow_mixed)
        Store(folder).calibrations()
        union.add(folder)
    if union.problems:
        raise Fault(union.problems, REFUSED)
    study = Study.of(declared["declaration"])
    ended = outcomes(attempts.values(), study.failures)
    if not allow_mixed:
        _refuse_other_code(union, of_study(study, ended))
    union.drop_needless(ended)
    _publish(target, declared, union)
    return Merged(target.name, len(folders), len(ended), len(attempts), union.copies)


def _refuse_other_code(union: _Union, used: Iterable[Attempt]) -> None:
    """A Fault where the runs that verdicts rest on are of several commits, as `run` has it."""
    for one in used:
        path = union.files[f"cells/{one.cell}-{one.number}.json"]
        union.note("code", None, one.provenance.code_words, path)
    if union.problems:
        do = "run all cells from one commit, or say --allow-mixed: no verdict is given on both"
        raise Fault([replace(problem, do=do) for problem in union.problems], REFUSED)


def _declared(folders: Sequence[Path], union: _Union) -> dict[str, Any]:
    """What all folders declare; the histories may differ in how many results were known by then."""
    first, *others = [(Store(folder).declared(), folder / DECLARATION) for folder in folders]
    declared, path = first
    for other, other_path in others:
        what = _difference(declared, other)
        if what:
            union.refuse(f"two folders declare another {what}", (path, other_path), "join parts of one study")
            continue
        for entry, theirs in zip(declared["history"], other["history"], strict=True):
            entry["seen"] = max(entry["seen"], theirs["seen"])
    return declared


def _difference(one: dict[str, Any], other: dict[str, Any]) -> str | None:
    """The first thing in which two declarations differ."""
    names = sorted({*one["declaration"], *other["declaration"]})
    for name in names:
        if one["declaration"].get(name) != other["declaration"].get(name):
            return name
    stories = [[(entry["hash"], entry["contrasts"]) for entry in each["history"]] for each in (one, other)]
    if stories[0] != stories[1]:
        return "history"
    return "pilots" if one.get("pilots") != other.get("pilots") else None


def _note(union: _Union, attempt: Attempt, folder: Path, allow_mixed: bool) -> None:
    path = folder / "cells" / f"{attempt.cell}-{attempt.number}.json"
    settings, where = attempt.settings, attempt.provenance
    if not allow_mixed:
        for name in UNMIXED:
            union.note(name, None, getattr(where, name), path)
    union.note("data", (settings.data, settings.resolution), where.data, path)
    if start := attempt.drawn.upstream:
        union.note("weights", (settings.start_key, attempt.upstream_seed), start.sha256, path)


def _publish(target: Store, declared: dict[str, Any], union: _Union) -> None:
    """Write what is not there yet: first what says whose records these are."""
    target.publish_declaration(declared["declaration"], declared["history"], declared.get("pilots", ""))
    for name, source in union.files.items():
        _copy(source, target.folder / name)
    for path in [*target.folder.glob("leases/*.json"), *cell_checkpoints.files(target.folder)]:
        if str(path.relative_to(target.folder)) not in union.files:
            path.unlink(missing_ok=True)


def _copy(source: Path, path: Path) -> None:
    if source == path or path.exists():
        return
    with atomic.writing(path):
        path.parent.mkdir(exist_ok=True)
    with open_file(source) as file:
        atomic.publish(path, partial(_pour, file))
    if path.parent.name == "leases":  # its age is how long the attempt ran
        shutil.copystat(source, path)


def _pour(file: BinaryIO, to: BinaryIO) -> None:
    shutil.copyfileobj(file, to, 1 << 20)


def studies_in(folders: Iterable[Path]) -> Iterator[tuple[str, list[Path]]]:
    """Yield each study's name and its folders, of folders that are a study's or hold some."""
    found: dict[str, list[Path]] = {}
    for folder in folders:
        for study in [folder] if is_study(folder) else sorted(folder.glob("*/")):
            if is_study(study):
                found.setdefault(study.resolve().name, []).append(study)
    yield from found.items()
