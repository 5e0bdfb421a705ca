"""Few-shot subsets: balanced, nested, and disjoint from their validation images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairtrial.data.class_counts import too_few
from fairtrial.errors import BAD_INPUT, Fault, fault
from fairtrial.rng import stream


@dataclass(frozen=True, eq=False)
class Subset:
    """Example ids of one draw. train: (n,) int64; val: (m,) int64; both refer to the training split.

    Order: rank by rank, and by class within a rank (first image of every class, then the second, ...).
    The ids of k shots are therefore the first ids of k + 1 shots, and no arm can change the order.
    """

    train: np.ndarray
    val: np.ndarray

    @property
    def sha256(self) -> str:
        """Digest of the ids of both parts, in their order."""
        digest = hashlib.sha256()
        for ids in (self.train, self.val):
            digest.update(len(ids).to_bytes(8, "little") + ids.astype("<i8").tobytes())
        return digest.hexdigest()


def few_shot(
    labels: np.ndarray,
    shots: int | None,
    seed: int,
    *,
    val_per_class: int = 0,
    num_classes: int,
    classes: Sequence[str] = (),
    prefix: str = "",
) -> Subset:
    """Draw `shots` training images per class; None takes all but the validation images.

    labels: (n,) integers of the training split, array or CPU tensor. classes: names, for messages only.
    prefix: seeds.UPSTREAM during pre-training.
    Each class has one permutation from stream("subset", seed, class): its first `shots` train, its last
    `val_per_class` validate. Subsets of one seed are thus nested in `shots` and in `val_per_class`.
    """
    labels = np.asarray(labels)
    members = [np.flatnonzero(labels == label) for label in range(num_classes)]
    _check(labels, members, shots, val_per_class, classes)
    train, val = [], []
    for label, ids in enumerate(members):
        shuffled = stream(f"{prefix}subset", seed, label).permutation(ids)
        train.append(shuffled[: len(ids) - val_per_class if shots is None else shots])
        val.append(shuffled[::-1][:val_per_class])  # from the end backwards, so that it is nested as well
    return Subset(_interleaved(train), _interleaved(val))


def _interleaved(parts: list[np.ndarray]) -> np.ndarray:
    """Rank by rank; a class that has run out of images drops out."""
    ranks = np.concatenate([np.arange(len(part)) for part in parts])
    order = np.argsort(ranks, kind="stable")
    return np.concatenate(parts)[order].astype(np.int64)


def _check(
    labels: np.ndarray,
    members: list[np.ndarray],
    shots: int | None,
    val_per_class: int,
    classes: Sequence[str],
) -> None:
    if (shots is not None and shots < 1) or val_per_class < 0:
        raise fault(
            f"expected shots >= 1 (or all) and val_per_class >= 0; got {shots} and {val_per_class}",
            "shots, val_per_class",
            "use a whole number of images per class",
        )
    counted = sum(len(ids) for ids in members)
    if counted != len(labels):
        raise fault(
            f"expected labels in 0..{len(members) - 1}; {len(labels) - counted} of {len(labels)} are outside",
            "training labels",
            "give num_classes as the data set declares it",
            BAD_INPUT,
        )
    names = [f"class {classes[label] if classes else label!r}" for label in range(len(members))]
    problems = too_few([*map(len, members)], names, shots, val_per_class)
    if problems:
        raise Fault(problems, BAD_INPUT)
