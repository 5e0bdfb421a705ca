"""What every kind of data becomes before it is a tensor: checked arrays of both splits."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from PIL import Image

from fairtrial.data.decode import Unusable, pixels
from fairtrial.data.room import room_for
from fairtrial.errors import BAD_INPUT, Fault, Problem, fault

SHOWN: Final = 20  # offenders in a message; the rest is counted


@dataclass(frozen=True, eq=False)
class Arrays:
    """Both splits, decoded. images: (n, 3, H, W) uint8; labels: (n,) int64."""

    classes: tuple[str, ...]
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    notes: tuple[str, ...] = ()
    sizes: tuple[tuple[str, int], ...] = ()  # as they came, most frequent first: ("32x32", 60000)

    def sha256(self) -> str:
        """Digest of shapes, pixels and labels of both splits: the identity of the content."""
        digest = hashlib.sha256()
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class Source:
    """Data not yet decoded. stamp: changes with the source files; build: resolution -> arrays, or a Fault."""

    stamp: str
    build: Callable[[int | None], Arrays]


@dataclass(frozen=True, eq=False)
class Split:
    """One split before decoding: labels, and how to read and to name each image."""

    labels: np.ndarray  # (n,) int64
    read: Callable[[int], bytes | Image.Image]  # encoded, or opened by torchvision
    where: Callable[[int], str]  # for messages


class Known(NamedTuple):
    """A public benchmark, recognised by its sizes and class names whatever file it comes in."""

    name: str
    train: int
    test: int
    classes: str  # first 16 hex digits of the sha256 of the first words of the class names, joined by "\n"
    notes: tuple[str, ...] = ()


# Their splits are kept as published, leaks included, and the leaks are noted; a user's own leak is an error.
KNOWN: Final = (
    Known(
        name="CIFAR-10",
        train=50_000,
        test=10_000,
        classes="bb3914949cecedee",
        notes=("3.25 % of the CIFAR-10 test images have a near duplicate in training (ciFAIR)",),
    ),
    Known(name="Tiny ImageNet", train=100_000, test=10_000, classes="add4bf0c8712ef7f"),
)


def decoded(
    classes: tuple[str, ...], train: Split, test: Split, resolution: int | None, notes: tuple[str, ...] = ()
) -> Arrays:
    """Decode both splits; every offender is collected before the Fault is raised."""
    for title, split in (("training", train), ("test", test)):
        _check_labels(len(classes), title, split)
    problems = _check_classes(classes, train)
    sizes = Counter[str]()
    images, prints = _decode((train, test), resolution, problems, sizes)
    known = _recognised(classes, train, test)
    leaks = _leaks(train, test, prints)
    if leaks and not known:
        where = listed([f"{train.where(a)} = {test.where(b)}" for a, b in leaks], "; ")
        problems.append(Problem(_leaked(leaks, train, test), where, "remove each from one of the two splits"))
    if problems:
        raise Fault(problems, BAD_INPUT)
    if known:
        notes += known.notes
    if known and leaks:
        pairs = listed([f"{a} = {b}" for a, b in leaks])
        notes += (f"{known.name} as published: {_leaked(leaks, train, test)} (train = test: {pairs})",)
    untested = sorted(set(range(len(classes))) - set(test.labels.tolist()))
    if untested:
        notes += (f"without a test image: {listed([classes[label] for label in untested])}",)
    count = len(train.labels)
    found = tuple(sizes.most_common(SHOWN))
    return Arrays(classes, images[:count], train.labels, images[count:], test.labels, notes, found)


def listed(items: Sequence[object], joint: str = ", ") -> str:
    """The first of many, and how many more there are."""
    shown = joint.join(map(str, items[:SHOWN]))
    return shown if len(items) <= SHOWN else f"{shown}{joint}and {len(items) - SHOWN} more"


def _check_labels(classes: int, title: str, split: Split) -> None:
    """A Fault where a split has no image, or a label of no class."""
    again = "write or unpack the data again"
    if not len(split.labels):
        raise fault("expected images; there are none", f"{title} split", again, BAD_INPUT)
    wrong = np.flatnonzero((split.labels < 0) | (split.labels >= classes)).tolist()
    if wrong:
        what = f"expected a label in 0..{classes - 1}; got {split.labels[wrong[0]]}, in {len(wrong):,} images"
        raise fault(what, split.where(wrong[0]), again, BAD_INPUT)


def _check_classes(classes: tuple[str, ...], train: Split) -> list[Problem]:
    if len(classes) < 2:
        what = f"expected images of two classes or more; all are of class {classes[0]!r}"
        return [Problem(what, train.where(0), "give data with something to tell apart")]
    counts = np.bincount(train.labels, minlength=len(classes))
    return [
        Problem(
            f"expected training images of every class; class {classes[label]!r} has none",
            f"training split, class {label}",
            "add images of this class, or remove it from the class names",
        )
        for label in np.flatnonzero(counts == 0)
    ]


def _decode(
    splits: Sequence[Split], resolution: int | None, problems: list[Problem], sizes: Counter[str]
) -> tuple[np.ndarray, list[bytes]]:
    """All images in one array, in order, and a fingerprint of each encoded one; offenders join `problems`.

    sizes: gets the size of each image as it came.

    One thread: at 32x32 two threads of Pillow were slower than one (104 against 61 us an image).
    """
    images = np.empty((0, 3, 0, 0), np.uint8)
    prints = []
    rows = [(split, row) for split in splits for row in range(len(split.labels))]
    for position, (split, row) in enumerate(rows):
        try:
            image = split.read(row)
            prints.append(_fingerprint(image))
            picture = pixels(image, resolution, sizes)
        except (Unusable, OSError) as error:
            problems.append(Problem(str(error), split.where(row), "replace this image, or remove it"))
            continue
        if not len(images):
            images = room_for((len(rows), *picture.shape))
        if picture.shape != images.shape[1:]:
            (high, wide), (first_high, first_wide) = picture.shape[1:], images.shape[2:]
            what = f"expected {first_wide}x{first_high} pixels like the first image; got {wide}x{high}"
            problems.append(Problem(what, split.where(row), "give a resolution, to which all are resized"))
            continue
        images[position] = picture
    return images, prints


def _fingerprint(image: bytes | Image.Image) -> bytes:
    return hashlib.blake2b(image, digest_size=16).digest() if isinstance(image, bytes) else b""


def _recognised(classes: tuple[str, ...], train: Split, test: Split) -> Known | None:
    words = "\n".join(name.split(maxsplit=1)[0] if name.strip() else "" for name in classes)
    seen = (len(train.labels), len(test.labels), hashlib.sha256(words.encode()).hexdigest()[:16])
    return next((known for known in KNOWN if (known.train, known.test, known.classes) == seen), None)


def _leaks(train: Split, test: Split, prints: list[bytes]) -> list[tuple[int, int]]:
    """Pairs (training row, test row) whose encoded images are the same bytes."""
    count = len(train.labels)
    if len(prints) != count + len(test.labels):
        return []  # files that could not be read shift the rows; they are reported first
    homes = {fingerprint: row for row, fingerprint in enumerate(prints[:count]) if fingerprint}
    return [(homes[one], row) for row, one in enumerate(prints[count:]) if one in homes]


def _leaked(leaks: list[tuple[int, int]], train: Split, test: Split) -> str:
    differ = sum(int(train.labels[a] != test.labels[b]) for a, b in leaks)
    return f"{len(leaks)} test images are byte-identical to training images, {differ} with another label"
