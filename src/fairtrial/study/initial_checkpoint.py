"""Where a network starts: the forms of the setting `upstream`, and what tells two starts apart."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

NONE: Final = "none"
TORCHVISION: Final = "torchvision"
NPZ: Final = "npz:"
OFFICIAL: Final = "BiT-"  # the first letters of every official file
FORMS: Final = f"{NONE}, a study that pre-trained (upstream), npz:FILE, BiT-M-R50x1, or {TORCHVISION}"
DRAWN: Final = "from scratch"  # from the stream `init`
KEPT: Final = "from checkpoints"  # of a study that pre-trained, one for each upstream seed
FILE: Final = "from one file"  # published weights: always one checkpoint
_NETWORK: Final = re.compile(r"BiT-[SM]-(R[0-9]+x[0-9]+)")
_STUDY: Final = re.compile(r"[a-z][a-z0-9-]{0,59}")


@dataclass(frozen=True)
class InitialCheckpoint:
    """A checked specification: `kind` is "none", "study", "npz", "official" or "torchvision"."""

    kind: str
    name: str  # identity, without a path
    path: Path | None = None  # of "npz"

    @property
    def source(self) -> str:
        """DRAWN, KEPT or FILE: what the networks of an arm start from."""
        return DRAWN if self.kind == NONE else KEPT if self.kind == "study" else FILE

    @property
    def network(self) -> str | None:
        """Return the setting `model` that an official file fits: 'r50x3' of BiT-M-R50x3."""
        found = _NETWORK.match(self.name) if self.kind == "official" else None
        return None if found is None else found[1].lower()

    @property
    def single(self) -> bool:
        """Whether it is one published file: every replicate then starts from the same checkpoint."""
        return self.kind in ("npz", "official", "torchvision")

    def seed(self, upstream_seeds: int, seed: int) -> int | None:
        """Return the upstream seed that a replicate starts from; None from scratch, 0 of a single file.

        Seed s starts from s modulo `upstream_seeds`, in every arm: contrasts stay paired.
        """
        if self.kind == NONE:
            return None
        return 0 if self.single else seed % upstream_seeds


@dataclass(frozen=True)
class StartKey:
    """What tells two initial checkpoints of one upstream seed apart.

    upstream: where they come from. network: (setting, value) of all that a checkpoint shares with the
    network that starts from it.
    """

    upstream: str
    network: tuple[tuple[str, Any], ...]


def parse(spec: str) -> InitialCheckpoint:
    """Check the form of a specification; no file is opened. An unknown form is a ValueError."""
    if spec in (NONE, TORCHVISION):
        return InitialCheckpoint(spec, spec)
    if spec.startswith(NPZ) and spec != NPZ:
        path = Path(os.path.normpath(Path(spec.removeprefix(NPZ)).absolute()))
        return InitialCheckpoint("npz", f"{NPZ}{path.stem}", path)
    if spec.startswith(OFFICIAL):
        return InitialCheckpoint("official", spec)
    if _STUDY.fullmatch(spec):
        return InitialCheckpoint("study", spec)
    raise ValueError(f"is none of: {FORMS}")


def checked(spec: Any) -> str:
    """Return a specification whose form is known; anything else is a ValueError."""
    if not isinstance(spec, str) or not spec.strip():
        raise ValueError("is not a text")
    parse(spec)
    return spec


def name_of(spec: str) -> str:
    """Return the identity of a start regardless of its path: 'upstream', 'npz:BiT-M-R50x1'."""
    return parse(spec).name


def starting(upstream: str, finetune: str) -> InitialCheckpoint:
    """Return where a network starts; training from scratch leaves the checkpoint aside."""
    return parse(NONE if finetune == "scratch" else upstream)
