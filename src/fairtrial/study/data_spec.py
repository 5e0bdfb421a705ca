"""What `--data` takes: the forms of a data specification, and the name it has whatever its path."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from fairtrial.errors import did_you_mean, fault


class Published(NamedTuple):
    """A class of `torchvision.datasets` and the arguments that select its two splits."""

    dataset: str
    train: dict[str, Any]
    test: dict[str, Any]


DIGITS: Final = "digits"
TORCHVISION: Final = {
    "cifar10": Published("CIFAR10", {"train": True}, {"train": False}),
    "cifar100": Published("CIFAR100", {"train": True}, {"train": False}),
    "svhn": Published("SVHN", {"split": "train"}, {"split": "test"}),  # without "extra"
    "stl10": Published("STL10", {"split": "train"}, {"split": "test"}),
    "flowers102": Published("Flowers102", {"split": "train"}, {"split": "test"}),  # without "val"
    "oxfordiiitpet": Published("OxfordIIITPet", {"split": "trainval"}, {"split": "test"}),
}
PATHS: Final = ("parquet", "folder")
FORMS: Final = (DIGITS, *TORCHVISION, *(f"{kind}:DIR" for kind in PATHS), "folder:ARCHIVE")


@dataclass(frozen=True)
class Spec:
    """A checked specification: `kind` is "digits", "torchvision", "parquet" or "folder"."""

    kind: str
    name: str  # identity of the data, without its path
    path: Path | None = None  # of "parquet" and "folder"


def parse(spec: str) -> Spec:
    """Check the form of a specification; no file is opened. An unknown form raises Fault."""
    kind, colon, rest = spec.partition(":")
    if spec == DIGITS:
        return Spec("digits", DIGITS)
    if spec in TORCHVISION:
        return Spec("torchvision", spec)
    if colon and kind in PATHS and rest.strip():
        path = Path(rest)
        with contextlib.suppress(RuntimeError):  # no such user: the folder is then missing, and reported so
            path = path.expanduser()
        path = Path(os.path.normpath(path.absolute()))  # not resolved: a link keeps its own name
        return Spec(kind, f"{kind}:{path.name or 'root'}", path)
    known = (DIGITS, *TORCHVISION, *PATHS)
    raise fault(
        f"expected a data specification; got {spec!r}{did_you_mean(kind, known)}",
        "--data",
        f"use one of: {', '.join(FORMS)}",
    )


def name_of(spec: str) -> str:
    """The identity of the data regardless of its path: 'digits', 'cifar10', 'parquet:cifar10'."""
    return parse(spec).name
