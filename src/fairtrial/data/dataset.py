"""Open a data set by its specification, as uint8 tensors; keep the test split sealed until the end."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from fairtrial.data import decoded_cache
from fairtrial.data.split_arrays import SHOWN, Source
from fairtrial.errors import Fault, Problem, fault
from fairtrial.norm_table import named_by
from fairtrial.plugins.plugin import is_plugin
from fairtrial.study.data_spec import SOURCES, Spec, parse

MOST_NAMED: Final = 1000  # places of one kind of problem
MAX_RESOLUTION: Final = 4096
LIST_ALL: Final = "see them all with `fairtrial doctor --data SPEC`"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Both splits on the CPU. images: (N, 3, H, W) uint8; labels: (N,) int64."""

    name: str  # identity of the data regardless of its path
    classes: tuple[str, ...]
    train_images: Tensor = field(repr=False)
    train_labels: Tensor = field(repr=False)
    test_images: Tensor = field(repr=False)
    test_labels: Tensor = field(repr=False)
    sha256: str  # of pixels and labels: identity of the content
    notes: tuple[str, ...] = ()
    sizes: tuple[tuple[str, int], ...] = ()  # of the images as they came; empty where that was not kept

    @property
    def num_classes(self) -> int:
        """How many classes the training split declares."""
        return len(self.classes)


class Sealed:
    """A test split that opens once: `reads` goes into the cell's record and proves it."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self._images, self._labels = images, labels
        self.reads = 0

    def open(self) -> tuple[Tensor, Tensor]:
        """The images and labels, the first time; RuntimeError afterwards."""
        if self.reads:
            raise RuntimeError("the test split opens once per cell, at its end; it was opened before")
        self.reads += 1
        return self._images, self._labels


def open_dataset(spec: str, *, resolution: int | None = None, download: bool = False) -> Dataset:
    """Both splits of the data that a specification names (forms: `fairtrial.study.data_spec`).

    resolution: images are resized to this square; None keeps their size (digits: 16). download: fetches a
    torchvision set that is missing. Bad data is a Fault that names the offenders: 20 shown, the rest counted.
    """
    try:
        return _open(spec, resolution, download)
    except Fault as found:
        raise Fault(_shortened(found.problems), found.code) from None


def check_dataset(spec: str, *, resolution: int | None = None) -> list[Problem]:
    """Every problem of the data behind a specification, none left out; empty when it opens."""
    try:
        _open(spec, resolution, download=False)
    except Fault as found:
        return list(found.problems)
    return []


def examine_dataset(spec: str, resolution: int) -> tuple[dict[str, Any], list[Problem]]:
    """What a run at this resolution would use, or {} and what is wrong: each kind once, with all its places.

    -> {"train", "test": images; "classes": {name: [train, test]}, "sizes": {"32x32": n}, "sha256", "notes"}.
    """
    try:
        data = _open(spec, resolution, download=False)
    except Fault as found:
        return {}, _once_per_kind(found.problems)
    labels = (data.train_labels.numpy(), data.test_labels.numpy())
    counts = [np.bincount(each, minlength=data.num_classes).tolist() for each in labels]
    return {
        "train": len(labels[0]),
        "test": len(labels[1]),
        "classes": {name: list(pair) for name, *pair in zip(data.classes, *counts, strict=True)},
        "sizes": dict(data.sizes),
        "sha256": data.sha256,
        "notes": list(data.notes),
    }, []


def _once_per_kind(problems: Sequence[Problem]) -> list[Problem]:
    """One problem for all that ask for the same and differ in names and numbers alone."""
    kinds: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        kind = re.sub(r"\d[\d,]*|'[^']*'", "#", problem.what)
        kinds.setdefault((kind, problem.do), []).append(problem)
    joined = []
    for first, *more in kinds.values():
        what = f"{first.what} ({1 + len(more)} such)" if more else first.what
        where = ", ".join(each.where for each in (first, *more[: MOST_NAMED - 1]))
        joined.append(Problem(what, where, first.do))
    return joined


def _open(spec: str, resolution: int | None, download: bool) -> Dataset:
    parsed = parse(spec)
    if resolution is not None and not 2 <= resolution <= MAX_RESOLUTION:
        do = "use 32 for CIFAR-like images, 128 or more for photographs"
        raise fault(f"expected a resolution in 2..{MAX_RESOLUTION}; got {resolution}", "resolution", do)
    arrays, sha256 = decoded_cache.through(source_of(parsed, download), resolution)
    parts = (arrays.train_images, arrays.train_labels, arrays.test_images, arrays.test_labels)
    with warnings.catch_warnings():
        # large images cannot be written to, and nobody does
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        train_images, train_labels, test_images, test_labels = map(torch.from_numpy, parts)
    return Dataset(
        name=parsed.name,
        classes=arrays.classes,
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        sha256=sha256,
        notes=arrays.notes,
        sizes=arrays.sizes,
    )


def source_of(spec: Spec, download: bool) -> Source:
    """Import the function that the row of this kind names, and let it open the data."""
    builder = SOURCES[spec.kind].builder
    source: Source = named_by(builder)(spec.place, download)
    # the module of a plug-in is called by its digest: another text decodes anew
    return replace(source, stamp=f"{builder} {source.stamp}") if is_plugin(builder) else source


def _shortened(problems: tuple[Problem, ...]) -> list[Problem]:
    more = len(problems) - SHOWN
    if more <= 0:
        return list(problems)
    what = f"{len(problems)} problems in all; {more} more are not shown"
    return [*problems[:SHOWN], Problem(what, f"from {problems[SHOWN].where}", LIST_ALL)]
