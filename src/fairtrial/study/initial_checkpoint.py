"""What the setting `upstream` takes: the forms of it, and the name it has whatever its path."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NONE: Final = "none"
TORCHVISION: Final = "torchvision"
NPZ: Final = "npz:"
OFFICIAL: Final = "BiT-"  # the first letters of every official file
FORMS: Final = f"{NONE}, a study that pre-trained (upstream), npz:FILE, BiT-M-R50x1, or {TORCHVISION}"
_STUDY: Final = re.compile(r"[a-z][a-z0-9-]{0,59}")


@dataclass(frozen=True)
class Start:
    """A checked specification: `kind` is "none", "study", "npz", "official" or "torchvision"."""

    kind: str
    name: str  # identity, without a path
    path: Path | None = None  # of "npz"

    @property
    def single(self) -> bool:
        """Whether it is one published file: every replicate then starts from the same checkpoint."""
        return self.kind in ("npz", "official", "torchvision")


def parse(spec: str) -> Start:
    """Check the form of a specification; no file is opened. An unknown form is a ValueError."""
    if spec in (NONE, TORCHVISION):
        return Start(spec, spec)
    if spec.startswith(NPZ) and spec != NPZ:
        path = Path(os.path.normpath(Path(spec.removeprefix(NPZ)).absolute()))
        return Start("npz", f"{NPZ}{path.stem}", path)
    if spec.startswith(OFFICIAL):
        return Start("official", spec)
    if _STUDY.fullmatch(spec):
        return Start("study", spec)
    raise ValueError(f"is none of: {FORMS}")


def name_of(spec: str) -> str:
    """The identity of a start regardless of its path: 'upstream', 'npz:BiT-M-R50x1'."""
    return parse(spec).name


def seed_of(upstream: str, tune: str, upstream_seeds: int, seed: int) -> int | None:
    """The upstream seed that a replicate starts from; None from scratch, 0 where there is but one file.

    Seed s starts from s modulo `upstream_seeds`, in every arm: contrasts stay paired.
    """
    start = parse(upstream)
    if start.kind == NONE or tune == "scratch":
        return None
    return 0 if start.single else seed % upstream_seeds
