"""How public hubs name parquet files and classes: which files are a split, and what their metadata says."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, Final
from unicodedata import normalize

from fairtrial.data.split_arrays import listed
from fairtrial.errors import BAD_INPUT, fault

SPLITS: Final = ("train", "test")
DEEP: Final = 3  # folders below DIR in which files are looked for
# train.parquet, train-00000-of-00002.parquet, train-00000-of-00001-0123456789abcdef.parquet
_NAME: Final = re.compile(r"(train|test)(?:-(\d{1,6})-of-(\d{1,6})(?:-[0-9a-f]+)?)?\.parquet")
_NUMBER: Final = re.compile(r"(\d{1,6})-of-(\d{1,6})")
# A split by a word in the path of its files, as hubs guess it: data/my_train_0.parquet, x/train/0000.parquet
_WORDS: Final = {
    "train": {"train", "training"},
    "test": {"test", "testing"},
    "validation": {"validation", "valid", "val", "dev", "eval", "evaluation"},
}


def files_of(path: Path) -> tuple[dict[str, list[Path]], tuple[str, ...]]:
    """Split -> its files in their order, and notes; a Fault where some are missing, or two ways to read them.

    Files in DIR or DIR/data with the names that hubs give come first, then those whose path has a word of the
    split. Without a file of test, validation is the test split, and the note says so.
    """
    found = {split: _named(path, split) or _worded(path, split) for split in SPLITS}
    notes: tuple[str, ...] = ()
    if not found["test"] and (other := _worded(path, "validation")):
        found["test"] = other
        notes = (f"there is no test split: {len(other)} files of validation are the test split",)
    # a name that is not there, for the message
    return {split: files or [path / f"{split}.parquet"] for split, files in found.items()}, notes


def _named(path: Path, split: str) -> list[Path]:
    beside = [file for folder in (path, path / "data") for file in _inside(folder, "*")]
    matched = ((file, _NAME.fullmatch(file.name)) for file in beside)
    return _one_set(path, split, [file for file, match in matched if match and match[1] == split])


def _worded(path: Path, split: str) -> list[Path]:
    found = []
    for file in (file for depth in range(DEEP + 1) for file in _inside(path, f"{'*/' * depth}*.parquet")):
        parts = file.relative_to(path).parts
        words = set(re.findall("[a-z]+", " ".join(parts).lower()))
        if words & _WORDS[split] and not any(part.startswith(".") for part in parts):
            found.append(file)
    return _one_set(path, split, found)


def _inside(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


def _one_set(path: Path, split: str, found: list[Path]) -> list[Path]:
    """The files in their order: all of one folder, and of one whole set of shards where they have numbers."""
    numbers = {file: match for file in found if (match := _NUMBER.search(file.name))}
    totals = {int(match[2]) for match in numbers.values()}
    plain = [file for file in found if file.name == f"{split}.parquet"]
    mixed = (numbers and len(numbers) < len(found)) or (plain and len(found) > 1)
    if mixed or len(totals) > 1 or len({file.parent for file in found}) > 1:
        names = listed([str(file.relative_to(path)) for file in found])
        what = f"expected one file or one set of shards of {split}; there are {names}"
        raise fault(what, str(path), "keep one set of them, or name the folder of one", BAD_INPUT)
    if not numbers:
        return found
    (total,) = totals
    order = {int(match[1]): file for file, match in numbers.items()}
    missing = [number for number in range(total) if number not in order]
    if missing or len(order) < len(found):
        lacks = f"without {split}-{missing[0]:05}-of-{total:05}.parquet" if missing else "some twice"
        what = f"expected {total} shards of {split}; there are {len(found)}, {lacks}"
        raise fault(what, str(path), "fetch the other shards", BAD_INPUT)
    return [order[number] for number in sorted(order)]


def _features(metadata: dict[bytes, bytes]) -> dict[str, Any]:
    """What a public hub says of each column; {} where it says nothing."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def class_labels(metadata: dict[bytes, bytes]) -> list[str]:
    """The columns that hold classes by what the hub says."""
    return [name for name in _features(metadata) if names_of(metadata, name)]


def names_of(metadata: dict[bytes, bytes], label: str) -> tuple[str, ...]:
    """Class names of the label column as public hubs store them; empty when the file has none.

    In one spelling of Unicode, as folders of images have: what looks alike in two files is one name.
    """
    names = feature.get("names") if isinstance(feature := _features(metadata).get(label), dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return ()
    return tuple(normalize("NFC", name) for name in names)


def refuse_twins(names: tuple[str, ...], file: Path) -> None:
    """Refuse class names of which two are one: a report could not tell such classes apart."""
    if twins := [name for name, times in Counter(names).items() if times > 1]:
        at = [number for number, name in enumerate(names) if name == twins[0]]
        what = f"expected one name per class; classes {at[0]} and {at[1]} are both called {twins[0]!r}"
        do = "give each class a name of its own, or join the two"
        raise fault(f"{what}, in whatever spelling of Unicode (NFC, NFD)", str(file), do, BAD_INPUT)
