"""Where a network starts: the forms of the setting `upstream`, and what tells two starts apart."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

NONE: Final = "none"
TORCHVISION: Final = "torchvision"
TIMM: Final = "timm"  # the weights of model=timm:NAME; "timm:NAME" for a network of ours
NPZ: Final = "npz:"
LOCAL: Final = "file:"  # .safetensors, or a state dict in .pth
OFFICIAL: Final = "BiT-"  # the first letters of every official file
FORMS: Final = (
    f"{NONE}, a study that pre-trained (upstream), npz:FILE, file:FILE.safetensors, file:FILE.pth, "
    f"BiT-M-R50x1, {TORCHVISION}, or {TIMM}"
)
DRAWN: Final = "from scratch"  # from the stream `init`
KEPT: Final = "from checkpoints"  # of a study that pre-trained, one for each upstream seed
FILE: Final = "from one file"  # published weights: always one checkpoint
_NETWORK: Final = re.compile(r"(?:BiT-[SM]-|timm:resnetv2_)(R?[0-9]+x[0-9]+)(?:_bit\b|-|$)")
_TIMM_NAME: Final = re.compile(r"timm:resnetv2_[0-9]+x[0-9]+_bit(\.[A-Za-z0-9_]+)?")
_STUDY: Final = re.compile(r"[a-z][a-z0-9-]{0,59}")


@dataclass(frozen=True)
class InitialCheckpoint:
    """A checked specification. kind: "none", "study", "npz", "file", "official", "torchvision" or "timm"."""

    kind: str
    name: str  # identity, without a path
    path: Path | None = None  # of "npz" and "file"

    @property
    def source(self) -> str:
        """DRAWN, KEPT or FILE: what the networks of an arm start from."""
        return DRAWN if self.kind == NONE else KEPT if self.kind == "study" else FILE

    @property
    def network(self) -> str | None:
        """Return the setting `model` that a BiT file fits: 'r50x3' of BiT-M-R50x3; None of others."""
        found = _NETWORK.match(self.name) if self.kind in ("official", TIMM) else None
        return None if found is None else f"r{found[1].lower().removeprefix('r')}"

    @property
    def bit(self) -> bool:
        """Whether it can only be a network of BiT: GN and WS, in the layout of BiT."""
        return self.kind in ("npz", "official") or self.name.startswith(f"{TIMM}:")

    @property
    def single(self) -> bool:
        """Whether it is one published file: every replicate then starts from the same checkpoint."""
        return self.kind not in (NONE, "study")

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
    if spec in (NONE, TORCHVISION, TIMM):
        return InitialCheckpoint(spec, spec)
    if _TIMM_NAME.fullmatch(spec):
        return InitialCheckpoint(TIMM, spec)
    for prefix in (NPZ, LOCAL):
        if spec.startswith(prefix) and spec != prefix:
            path = Path(os.path.normpath(Path(spec.removeprefix(prefix)).absolute()))
            return InitialCheckpoint(prefix.rstrip(":"), f"{prefix}{path.stem}", path)
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
