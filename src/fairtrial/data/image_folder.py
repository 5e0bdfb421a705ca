"""An image folder: DIR/train/<class>/* and DIR/test/<class>/* (or val), an image a file; or its archive."""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from fairtrial.data import archive
from fairtrial.data.decode import MAX_ENCODED, Unusable
from fairtrial.data.split_arrays import Arrays, Source, Split, decoded, listed
from fairtrial.errors import BAD_INPUT, Fault, Problem
from fairtrial.plain_file import read_file

JUNK: Final = ("Thumbs.db", "desktop.ini", "__MACOSX")  # and every name that starts with a dot
MOST: Final = 100_000  # images that are counted before a run
VALIDATION: Final = ("val", "valid", "validation")  # what people call a test split
_LAYOUT: Final = "lay the images out as DIR/train/CLASS/* and DIR/test/CLASS/*"


@dataclass
class _Scan:
    """What a walk over the two splits found."""

    folders: dict[str, Path]  # of the splits
    files: dict[str, dict[str, list[Path]]] = field(default_factory=dict)  # split -> class -> files
    skipped: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: tuple[str, ...] = ()


def source(path: Path, download: bool = False) -> Source:
    """The folder or archive, walked and hashed. The class index comes from the names under train/, sorted."""
    return archive.source(path, walked) if archive.is_archive(path) else walked(path)


def walked(
    path: Path, folders: Mapping[str, Path] | None = None, flat: Mapping[str, str] | None = None
) -> Source:
    """The images below a folder. folders: those of the splits; by default those of `split_folders`.

    flat: file -> class, of test images that lie in their folder itself.
    """
    scan = _scanned(path, folders, flat)
    stamp = hashlib.sha256()
    for split, classes in scan.files.items():
        for name, files in classes.items():
            for file in files:
                stamp.update(f"{split}/{name}/{file.name}\n{_digest(file, scan)}\n".encode())
    if scan.problems:
        raise Fault(scan.problems, BAD_INPUT)
    told = "".join(f" {note}" for note in scan.notes)
    return Source(f"folder 1 {stamp.hexdigest()} {scan.skipped}{told}", partial(_build, scan))


def class_counts(path: Path) -> dict[str, int] | None:
    """Class -> its training images, by names alone; a Fault where the folder would not open.

    None of an archive, and of more images than are counted in a blink.
    """
    if archive.is_archive(path) or sum(1 for _ in islice(path.glob("train/*/*"), MOST + 1)) > MOST:
        return None
    scan = _scanned(path)
    if scan.problems:
        raise Fault(scan.problems, BAD_INPUT)
    return {name: len(files) for name, files in sorted(scan.files["train"].items())}


def split_folders(path: Path) -> dict[str, Path]:
    """Split -> its folder: train, and test or, where there is none, that of validation."""
    others = [path / name for name in ("test", *VALIDATION)]
    return {"train": path / "train", "test": next((each for each in others if each.is_dir()), others[0])}


def count_images(folders: Mapping[str, Path]) -> dict[str, int]:
    """Split -> its images, by names alone: files in folders of classes, and in the folder itself."""
    return {split: sum(map(_count, _listed(folder))) for split, folder in folders.items()}


def count_folder(path: Path) -> dict[str, int]:
    """Split -> its images; none of an archive, which is not unpacked for that."""
    return {"train": 0, "test": 0} if archive.is_archive(path) else count_images(split_folders(path))


def _count(entry: os.DirEntry[str]) -> int:
    return len(_listed(Path(entry.path))) if entry.is_dir() else 1


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _scanned(
    path: Path, folders: Mapping[str, Path] | None = None, flat: Mapping[str, str] | None = None
) -> _Scan:
    """The files of both splits, of which none is read."""
    scan = _Scan(dict(folders or split_folders(path)))
    if folders is None and (name := scan.folders["test"].name) != "test":
        scan.notes = (f"there is no test split: {name} is the test split",)
    for split, folder in scan.folders.items():
        if split == "test" and flat:
            scan.files[split] = _sorted_by(flat, folder, scan)
        else:
            found = _entries(folder, scan, folders=True)
            scan.files[split] = {name: _images(entry, scan) for name, entry in found}
    _join_spellings(scan)
    _check(scan)
    return scan


def _sorted_by(flat: Mapping[str, str], folder: Path, scan: _Scan) -> dict[str, list[Path]]:
    """Class -> the images that a list gives it; one that is in no class joins the problems."""
    found: dict[str, list[Path]] = {}
    for name, file in _entries(folder, scan, folders=False):
        if name in flat:
            found.setdefault(flat[name], []).append(file)
        else:
            what = "expected the class of this image; the list of classes lacks it"
            scan.problems.append(Problem(what, _shown(file), "fetch the list again, or remove the image"))
    return found


def _build(scan: _Scan, resolution: int | None) -> Arrays:
    classes = tuple(sorted(scan.files["train"]))
    splits = {}
    for split, members in scan.files.items():
        files = [file for name in sorted(members) for file in members[name]]
        labels = [classes.index(name) for name in sorted(members) for _ in members[name]]
        splits[split] = Split(np.array(labels, np.int64), partial(_read, files), partial(_where, files))
    skipped = (f"skipped {len(scan.skipped)} files: {listed(scan.skipped)}",) if scan.skipped else ()
    return decoded(classes, splits["train"], splits["test"], resolution, scan.notes + skipped)


def _read(files: list[Path], row: int) -> bytes:
    try:
        return read_file(files[row], MAX_ENCODED)
    except OSError as error:
        raise Unusable(f"expected an image file; {error.strerror}") from None


def _where(files: list[Path], row: int) -> str:
    return str(files[row])


def _entries(parent: Path, scan: _Scan, *, folders: bool) -> Iterator[tuple[str, Path]]:
    """The entries of a folder by name; what is of the wrong kind or cannot be read joins the problems."""
    wanted = "a folder of a class" if folders else "an image file"
    try:
        paths = sorted(parent.iterdir())
    except OSError as error:
        scan.problems.append(Problem(f"expected a folder: {error.strerror}", _shown(parent), _LAYOUT))
        return
    for path in paths:
        if path.name.startswith(".") or path.name in JUNK:
            scan.skipped.append(_shown(path.relative_to(parent.parent if folders else parent.parent.parent)))
            continue
        try:
            path.name.encode()
            mode = path.stat().st_mode
        except UnicodeEncodeError:
            what = "expected a file name in UTF-8"
            scan.problems.append(Problem(what, _shown(path), "rename the file"))
            continue
        except OSError as error:
            what = f"expected {wanted}; it cannot be read: {error.strerror}"
            scan.problems.append(Problem(what, _shown(path), "mend or remove the link or file"))
            continue
        if stat.S_ISDIR(mode) if folders else stat.S_ISREG(mode):
            yield path.name, path
        else:
            what = f"expected {wanted}; got {_kind(mode)}"
            scan.problems.append(Problem(what, _shown(path), "move it out of the image folder"))


def _images(parent: Path, scan: _Scan) -> list[Path]:
    before = len(scan.problems)
    files = [path for _, path in _entries(parent, scan, folders=False)]
    if not files and len(scan.problems) == before:
        what = f"expected images of class {parent.name!r}; the folder is empty"
        do = "add images, or remove the class from both splits"
        scan.problems.append(Problem(what, _shown(parent), do))
    return files


def _join_spellings(scan: _Scan) -> None:
    """Give a test class the name of training where only Unicode's spelling differs (NFC; NFD of a Mac).

    Two spellings of one name within a split join the problems: what belongs together is not ours to say.
    """
    spelled: dict[str, str] = {}
    for split, classes in scan.files.items():
        first: dict[str, str] = {}
        for name in sorted(classes):
            if (before := first.setdefault(_composed(name), name)) != name:
                what = f"expected one folder per class; {before!a} and {name!a} are one name in two spellings"
                do = "move the images into one of the two folders"
                problem = Problem(f"{what} of Unicode (NFC and NFD)", _shown(scan.folders[split] / name), do)
                scan.problems.append(problem)
        if split == "train":
            spelled = first
        else:
            scan.files[split] = {spelled.get(_composed(name), name): files for name, files in classes.items()}


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _check(scan: _Scan) -> None:
    train, test = scan.files["train"], scan.files["test"]
    for split, classes in scan.files.items():
        if not classes and scan.folders[split].is_dir():
            what = "expected one folder per class; there is none"
            scan.problems.append(Problem(what, _shown(scan.folders[split]), _LAYOUT))
    unknown = sorted(set(test) - set(train)) if train else []
    for name in unknown:
        what = f"expected the classes of training ({listed(sorted(train))}); the test split also has {name!r}"
        scan.problems.append(
            Problem(what, _shown(scan.folders["test"] / name), "add training images, or remove it")
        )


def _digest(file: Path, scan: _Scan) -> str:
    try:
        return hashlib.sha256(read_file(file, MAX_ENCODED)).hexdigest()
    except OSError as error:
        what = f"expected an image file; it cannot be read: {error.strerror}"
        scan.problems.append(Problem(what, _shown(file), "make the file readable, or remove it"))
        return ""


def _kind(mode: int) -> str:
    return "a folder" if stat.S_ISDIR(mode) else "a file" if stat.S_ISREG(mode) else "a special file"


def _shown(path: Path) -> str:
    """A path that any terminal and any JSON takes, even when the name is not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
