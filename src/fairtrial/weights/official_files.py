"""The official BiT files: what each holds, and where it lies.

Names, classes and training as in the README of google-research/big_transfer. Its 285 files fine-tuned on VTAB
tasks are left out. Sizes and digests are not published; a row that gets them is held to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BASE: Final = "https://storage.googleapis.com/bit_models/"
IMAGENET_21K: Final = 21_843  # classes of BiT-M
ILSVRC: Final = 1_000


@dataclass(frozen=True)
class Official:
    """One file. upstream: the training images in order; path: under BASE, without `.npz`."""

    model: str
    classes: int
    upstream: str
    path: str
    size: int | None = None  # bytes
    sha256: str | None = None

    @property
    def url(self) -> str:
        return f"{BASE}{self.path}.npz"


_NETWORKS: Final = ("R50x1", "R50x3", "R101x1", "R101x3", "R152x2", "R152x4")
_TUNED: Final = "imagenet21k, then ilsvrc2012"
_DISTILLED: Final = "ilsvrc2012, distilled from BiT-M-R152x2"

OFFICIAL: Final[dict[str, Official]] = {
    **{f"BiT-S-{n}": Official(n.lower(), ILSVRC, "ilsvrc2012", f"BiT-S-{n}") for n in _NETWORKS},
    **{f"BiT-M-{n}": Official(n.lower(), IMAGENET_21K, "imagenet21k", f"BiT-M-{n}") for n in _NETWORKS},
    **{
        f"BiT-M-{n}-ILSVRC2012": Official(n.lower(), ILSVRC, _TUNED, f"BiT-M-{n}-ILSVRC2012")
        for n in _NETWORKS
    },
    "R50x1_224": Official("r50x1", ILSVRC, _DISTILLED, "distill/R50x1_224"),
    "R50x1_160": Official("r50x1", ILSVRC, _DISTILLED, "distill/R50x1_160"),
    "R152x2_T_224": Official("r152x2", ILSVRC, _TUNED, "distill/R152x2_T_224"),  # the teachers
    "R152x2_T_384": Official("r152x2", ILSVRC, _TUNED, "distill/R152x2_T_384"),
}
