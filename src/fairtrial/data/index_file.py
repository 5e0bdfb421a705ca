"""A file of few-shot indices: which training images each seed uses, drawn elsewhere or chosen by hand."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from fairtrial.data.subsets import Subset
from fairtrial.errors import BAD_INPUT, REFUSED, Fault, Problem, Shortage, fault, shown
from fairtrial.plain_file import read_file
from fairtrial.rng import stream
from fairtrial.storage.atomic import read_json

CAP: Final = 4 * 2**20  # bytes; 100 seeds of 100 shots in 10 classes take 0.7 million
MOST_TOLD: Final = 1_000  # problems of one file
FORM: Final = 'write {"data": SHA256, "subsets": {"0": [ids], "1": [ids]}}'
AGAIN: Final = "correct the file, or make it again from this data"
_SHA256: Final = re.compile("[0-9a-f]{64}")
_SEED: Final = re.compile("0|[1-9][0-9]{0,9}")


@dataclass(frozen=True, eq=False)
class Indices:
    """The lists of a checked file. lists: seed -> (n,) int64 ids of the training split, in file order."""

    path: Path
    data_sha256: str
    lists: Mapping[int, np.ndarray]
    labels: np.ndarray
    num_classes: int
    classes: Sequence[str] = ()

    def subset(self, seed: int, shots: int | None, val_per_class: int = 0) -> Subset:
        """The first `shots` listed images of each class; None takes all that are listed.

        Nested in `shots`. Validation images come from the draw of `few_shot` at this seed without any listed
        image, whatever `shots` is. A Fault names a seed without a list, and each class with too few images.
        """
        if (shots is not None and shots < 1) or val_per_class < 0:
            what = f"expected shots >= 1 (or all) and val_per_class >= 0; got {shots} and {val_per_class}"
            raise fault(what, "shots, val_per_class", "use a whole number of images per class")
        if seed not in self.lists:
            known = ", ".join(map(str, sorted(self.lists))) or "none"
            what = f"expected a list for seed {seed}; the file has {known}"
            raise fault(what, self._where(seed), "add a list for it, or use a seed of the file", BAD_INPUT)
        own = [self.lists[seed][self.labels[self.lists[seed]] == label] for label in range(self.num_classes)]
        free = [self._free(seed, label, listed) for label, listed in enumerate(own)]
        self._check(seed, shots, val_per_class, own, free)
        train, val = [listed[:shots] for listed in own], [ids[:val_per_class] for ids in free]
        return Subset(_by_rank(train), _by_rank(val))

    def _free(self, seed: int, label: int, listed: np.ndarray) -> np.ndarray:
        """The images of a class that are not listed, in the order in which `few_shot` validates on them."""
        drawn = stream("subset", seed, label).permutation(np.flatnonzero(self.labels == label))[::-1]
        return drawn[~np.isin(drawn, listed)]

    def _check(
        self, seed: int, shots: int | None, val: int, own: list[np.ndarray], free: list[np.ndarray]
    ) -> None:
        problems, need = [], 1 if shots is None else shots
        for label in range(self.num_classes):
            name = repr(self.classes[label] if self.classes else label)
            if len(own[label]) < need:
                asked = "all" if shots is None else shots
                what = f"shots={asked} needs {need} images of class {name}; the list has {len(own[label])}"
                problems.append(
                    Problem(what, self._where(seed), "list more images of it, or use fewer shots")
                )
            if len(free[label]) < val:
                what = f"val_per_class={val} needs {val} images of class {name} that are not listed"
                do = "use fewer validation images, or list fewer"
                problems.append(Problem(f"{what}; there are {len(free[label])}", self._where(seed), do))
        if problems:
            raise Fault(problems, BAD_INPUT)

    def _where(self, seed: int) -> str:
        return f"{self.path}, seed {seed} {_of(self.data_sha256)}"


def read_indices(
    path: Path,
    *,
    labels: np.ndarray,
    test_n: int,
    data_sha256: str,
    num_classes: int,
    classes: Sequence[str] = (),
) -> Indices:
    """Read and check `{"data": sha256, "subsets": {"0": [ids], ...}}`; every offender is named at once.

    labels: (n,) integers of the training split. test_n: images of the test split. data_sha256: of the images
    at hand (`Dataset.sha256`); indices of other images are a Fault with exit code 4, all else one with 3.
    """
    labels = np.asarray(labels)
    value = _read(path)
    _check_form(path, value)
    if value["data"] != data_sha256:
        what = f"the indices are of other data: expected sha256 {data_sha256}, got {value['data']}"
        raise fault(what, f"{path}, data", "use the data that the file was made from", REFUSED)
    lists = value["subsets"]
    found = (p for seed, ids in lists.items() for p in _problems(path, seed, ids, len(labels), test_n))
    if problems := list(islice(found, MOST_TOLD)):
        told = [replace(one, where=f"{one.where} {_of(data_sha256)}") for one in problems]
        raise Fault(told, BAD_INPUT)
    arrays = {int(seed): np.array(ids, np.int64) for seed, ids in lists.items()}
    return Indices(path, data_sha256, arrays, labels, num_classes, classes)


def _of(sha256: str) -> str:
    return f"(data sha256 {sha256[:12]}...)"


def _read(path: Path) -> dict[str, Any]:
    try:
        read_json(path, cap=CAP)
        return json.loads(_text(path), object_pairs_hook=partial(_once, path))
    except FileNotFoundError:
        raise fault("expected a file of indices; there is none", str(path), FORM, BAD_INPUT) from None
    except Shortage:
        raise
    except Fault as found:
        raise Fault([replace(one, do=AGAIN) for one in found.problems], found.code) from None


def _text(path: Path) -> str:
    return read_file(path, CAP).decode("utf-8")


def _once(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; json alone would keep the last of two values of one key."""
    found = dict(pairs)
    if len(found) < len(pairs):
        ((twice, count),) = Counter(key for key, _ in pairs).most_common(1)
        raise fault(f"the key {shown(twice)} stands there {count} times", str(path), AGAIN, BAD_INPUT)
    return found


def _check_form(path: Path, value: dict[str, Any]) -> None:
    if value.keys() != {"data", "subsets"}:
        what = f"expected the keys data and subsets; got {', '.join(map(shown, value)) or 'none'}"
        raise fault(what[:300], str(path), FORM, BAD_INPUT)
    if not isinstance(value["data"], str) or not _SHA256.fullmatch(value["data"]):
        what = f"expected a sha256 of 64 small hexadecimal digits; got {shown(value['data'])}"
        raise fault(what, f"{path}, data", FORM, BAD_INPUT)
    if not isinstance(value["subsets"], dict) or not value["subsets"]:
        what = f"expected a list of ids for each seed; got {shown(value['subsets'])}"
        raise fault(what, f"{path}, subsets", FORM, BAD_INPUT)
    for seed, ids in value["subsets"].items():
        if not _SEED.fullmatch(seed):
            what = f"expected a seed, a whole number from 0 on; got {shown(seed)}"
            raise fault(what, f"{path}, subsets", FORM, BAD_INPUT)
        if not isinstance(ids, list) or not ids:
            raise fault(f"expected a list of ids; got {shown(ids)}", f"{path}, seed {seed}", FORM, BAD_INPUT)


def _problems(path: Path, seed: str, ids: list[Any], n: int, test_n: int) -> Iterator[Problem]:
    """What is wrong with one list, with line and position (from 0) of each offender."""
    first: dict[int, int] = {}
    lines: list[int] | None = None
    for position, value in enumerate(ids):
        what = _wrong(value, n, test_n)
        if what is None and first.setdefault(value, position) != position:
            what = f"id {value} stands twice in the list, first at position {first[value]}"
        if what:
            lines = _lines(_text(path), seed) if lines is None else lines
            line = f"line {lines[position]}, " if len(lines) == len(ids) else ""
            yield Problem(what, f"{path}, {line}seed {seed}, position {position}", AGAIN)


def _wrong(value: Any, n: int, test_n: int) -> str | None:
    if type(value) is not int:  # not a bool either
        return f"expected an id, a whole number in 0..{n - 1}; got {shown(value)}"
    if 0 <= value < n:
        return None
    if n <= value < test_n:
        return f"id {value} can only be of the test split: training has 0..{n - 1}, test 0..{test_n - 1}"
    if n <= value < n + test_n:
        return f"expected an id in 0..{n - 1}; {value} would be image {value - n} of the test split behind it"
    return f"expected an id in 0..{n - 1}; got {shown(value)}"


def _lines(text: str, seed: str) -> list[int]:
    """The line, from 1 on, of each value in the list of a seed, which a parsed file no longer knows.

    Empty where the keys are not spelled plainly.
    """
    start = re.compile(rf'"subsets"\s*:.*?"{seed}"\s*:\s*\[', re.DOTALL).search(text)
    if start is None:
        return []
    at, lines = start.end(), list[int]()
    decoder, ahead = json.JSONDecoder(), re.compile(r"[^\s,]")
    line = text.count("\n", 0, at) + 1
    while True:
        value = next(ahead.finditer(text, at)).start()
        line += text.count("\n", at, value)
        if text[value] == "]":
            return lines
        lines.append(line)
        at = decoder.raw_decode(text, value)[1]


def _by_rank(parts: list[np.ndarray]) -> np.ndarray:
    """The first of each class, then the second of each, ...: the order that Subset promises."""
    ranked = [(rank, label, one) for label, part in enumerate(parts) for rank, one in enumerate(part)]
    return np.array([one for *_, one in sorted(ranked)], np.int64)
