"""How many training images each class has, as far as that is known without reading one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from fairtrial.errors import Problem
from fairtrial.norm_table import named_by
from fairtrial.study.data_spec import is_missing, parse

# Who counts: a path -> class: its training images, or None; a Fault where a run would meet the same.
COUNTED: Final = {
    "parquet": "fairtrial.data.parquet:class_counts",
    "folder": "fairtrial.data.image_folder:class_counts",
}
# Training images of the smallest class of sets that are the same everywhere, as published: not of folders of
# images, as ImageNet's, of which many people have a part.
SMALLEST: Final = {
    "digits": 116, "cifar10": 5000, "cifar100": 500, "svhn": 4659, "stl10": 500, "flowers102": 10,
    "mnist": 5421, "fashionmnist": 6000,
}  # fmt: skip
# Images of both splits, of those and of other sets that are the same everywhere.
PUBLISHED: Final = {
    "digits": (1201, 596), "cifar10": (50_000, 10_000), "cifar100": (50_000, 10_000),
    "svhn": (73_257, 26_032), "stl10": (5000, 8000), "flowers102": (1020, 6149),
    "oxfordiiitpet": (3680, 3669), "mnist": (60_000, 10_000), "fashionmnist": (60_000, 10_000),
}  # fmt: skip
# Who counts them elsewhere: a path or place -> split: its images.
IMAGES: Final = {
    "parquet": "fairtrial.data.parquet:count_images",
    "folder": "fairtrial.data.image_folder:count_folder",
    "torchvision": "fairtrial.data.official_folders:count_images",
}


def image_counts(spec: str) -> tuple[int, int] | None:
    """Training and test images of some data, without reading one; None where that is not known."""
    parsed = parse(spec)
    if parsed.name in PUBLISHED:
        return PUBLISHED[parsed.name]
    if parsed.kind not in IMAGES or is_missing(spec):
        return None
    counts: Mapping[str, int] = named_by(IMAGES[parsed.kind])(parsed.place)
    return (counts["train"], counts["test"]) if counts["train"] else None


def class_counts(spec: str) -> Mapping[str, int]:
    """Class -> its training images, or "" -> those of the smallest; empty where that is not known."""
    parsed = parse(spec)
    if parsed.kind in COUNTED and parsed.path is not None and not is_missing(spec):
        counts: Mapping[str, int] | None = named_by(COUNTED[parsed.kind])(parsed.path)
        return counts or {}
    return {"": SMALLEST[parsed.name]} if parsed.name in SMALLEST else {}


def too_few(counts: Sequence[int], names: Sequence[str], shots: int | None, val: int) -> list[Problem]:
    """Say of each class that has fewer images than are asked for what it has. names: for messages.

    shots: images of each class to train on; None for all but the `val` images of it that validate.
    """
    need = (1 if shots is None else shots) + val
    most = min(counts, default=0) - val
    remedy = f"use shots <= {most}" if most > 0 else "use fewer validation images per class"
    asked = f"shots={'all' if shots is None else shots} with {val} validation images"
    return [
        Problem(
            f"{asked} needs {need} images of {name}; the training split has {count}",
            f"training split, class {label}",
            f"{remedy}, or data with more images",
        )
        for label, (count, name) in enumerate(zip(counts, names, strict=True))
        if count < need
    ]


def shortage(spec: str, counts: Mapping[str, int], shots: int | None, val: int) -> list[Problem]:
    """Say of each class of some data, by its `class_counts`, what `too_few` does."""
    names = [f"class {name!r}" if name else "the smallest class" for name in counts]
    return [replace(one, where=spec) for one in too_few([*counts.values()], names, shots, val)]
