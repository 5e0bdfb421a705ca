"""What `--data` takes: the forms of a data specification, and the name it has whatever its path."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from fairtrial.errors import Fault, did_you_mean, fault


class Published(NamedTuple):
    """A class of `torchvision.datasets` and the arguments that select its two splits."""

    dataset: str
    train: dict[str, Any]
    test: dict[str, Any]


TORCHVISION: Final = {
    "cifar10": Published("CIFAR10", {"train": True}, {"train": False}),
    "cifar100": Published("CIFAR100", {"train": True}, {"train": False}),
    "svhn": Published("SVHN", {"split": "train"}, {"split": "test"}),  # without "extra"
    "stl10": Published("STL10", {"split": "train"}, {"split": "test"}),
    "flowers102": Published("Flowers102", {"split": "train"}, {"split": "test"}),  # without "val"
    "oxfordiiitpet": Published("OxfordIIITPet", {"split": "trainval"}, {"split": "test"}),
}


# NAME of torchvision:NAME:DIR, a folder that is on the disk.
ON_DISK: Final = (*TORCHVISION, "mnist", "fashionmnist", "imagenet")


@dataclass(frozen=True)
class SourceRow:
    """One kind of data.

    builder: "module:function" that makes the `Source`, from the path or the name and from whether to
    download. forms: how `--data` names it: whole names, or "kind:DIR" where a path follows.
    """

    builder: str
    forms: tuple[str, ...]

    @property
    def takes_path(self) -> bool:
        """Whether a path follows the kind."""
        return ":" in self.forms[0]


# Nothing here imports what opens the data: a new kind is one file in `data/` and one row.
SOURCES: Final[dict[str, SourceRow]] = {
    "digits": SourceRow("fairtrial.data.digits:source", ("digits",)),
    "published": SourceRow("fairtrial.data.torchvision_sets:source", tuple(TORCHVISION)),
    "torchvision": SourceRow("fairtrial.data.official_folders:source", ("torchvision:NAME:DIR",)),
    "parquet": SourceRow("fairtrial.data.parquet:source", ("parquet:DIR",)),
    "folder": SourceRow("fairtrial.data.image_folder:source", ("folder:DIR", "folder:ARCHIVE")),
}


@dataclass(frozen=True)
class Spec:
    """A checked specification; `kind` is a row of SOURCES."""

    kind: str
    name: str  # identity of the data, without its path
    path: Path | None = None

    @property
    def place(self) -> Path | str:
        """What its opener needs: the path, the name of data that has none, or both as "NAME:DIR"."""
        named = self.kind == "torchvision"
        return f"{self.name}:{self.path}" if named else self.path or self.name


def parse(spec: str) -> Spec:
    """Check the form of a specification; no file is opened. An unknown form raises Fault."""
    kind, _, rest = spec.partition(":")
    name = ""
    if kind == "torchvision":
        # the data is the same wherever it lies, so it has the name that it has in the cache
        name, _, rest = rest.partition(":")
        if rest.strip() and name not in ON_DISK:
            what = f"expected a set of torchvision; got {name!r}{did_you_mean(name, ON_DISK)}"
            raise fault(what, "--data", f"use one of: {', '.join(ON_DISK)}")
    if kind in SOURCES and SOURCES[kind].takes_path and rest.strip():
        path = Path(rest)
        with contextlib.suppress(RuntimeError):  # no such user: the folder is then missing, and reported so
            path = path.expanduser()
        path = Path(os.path.normpath(path.absolute()))  # not resolved: a link keeps its own name
        return Spec(kind, name or f"{kind}:{path.name or 'root'}", path)
    forms = {form: name for name, row in SOURCES.items() for form in row.forms}
    if spec in forms and not SOURCES[forms[spec]].takes_path:
        return Spec(forms[spec], spec)
    known = dict.fromkeys(form.partition(":")[0] for form in forms)
    raise fault(
        f"expected a data specification; got {spec!r}{did_you_mean(kind, known)}",
        "--data",
        f"use one of: {', '.join(forms)}",
    )


def is_missing(spec: str) -> bool:
    """Say whether a specification names a file or folder that is not on this machine."""
    path = parse(spec).path
    return path is not None and not path.exists()


def name_of(spec: str) -> str:
    """The identity of the data regardless of its path: 'digits', 'cifar10', 'parquet:cifar10'."""
    return parse(spec).name


def are_real(specs: Iterable[str]) -> bool:
    """Return whether any of these data are images of their own, not the digits that a dependency bundles.

    Digits are there so that a study runs offline; what they show gives way to any other images.
    """
    return any(spec not in SOURCES["digits"].forms for spec in specs)


def published_name(spec: str) -> str:
    """Return what papers call the data: 'cifar10' of parquet:/d/cifar10.

    A record holds a name alone, which need not be a specification: 'mnist'.
    """
    with contextlib.suppress(Fault):
        spec = name_of(spec)
    return spec.rpartition(":")[2]
