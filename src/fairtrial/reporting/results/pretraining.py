"""Where a network's first weights come from, read from its settings, and what results may then be called."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fairtrial.study import initial_checkpoint
from fairtrial.study.settings import Settings

DRAWN: Final = "from scratch"  # from the stream `init`
KEPT: Final = "from checkpoints"  # of a study that pre-trained, one for each upstream seed
FILE: Final = "from one file"  # published weights: always one checkpoint


def start(settings: Settings) -> str:
    """DRAWN, KEPT or FILE; `tune="scratch"` leaves the checkpoint aside."""
    kind = settings.start.kind
    return DRAWN if kind == initial_checkpoint.NONE else KEPT if kind == "study" else FILE


def story(arms: Iterable[Settings], images: str | None = None) -> str:
    """'trained from scratch', 'pre-trained on tiny32 (study `up`)', 'from official BiT-M-R50x1 weights'.

    images: the name of the upstream images, where the records tell it.
    """
    told = dict.fromkeys(_told(settings, images) for settings in arms)
    return " or ".join(sorted(told, key=lambda words: words == _SCRATCH))


def may_be_called(arms: Iterable[Settings]) -> str:
    """Whether results are results of BiT: whole networks, fine-tuned from official weights, are."""
    found = {_name(settings) for settings in arms}
    if found == {_BIT}:
        return _BIT
    if _BIT in found:
        return "only arms fine-tuned from official weights are BiT results"
    return _UNSURE if _UNSURE in found else "not a BiT result"


_SCRATCH: Final = "trained from scratch"
_BIT: Final = "fine-tuned from official BiT weights"
_UNSURE: Final = "a BiT result only as far as that file is the official one"


def _name(settings: Settings) -> str:
    kind = settings.start.kind if settings.tune == "full" else ""
    return {"official": _BIT, "npz": _UNSURE}.get(kind, "")


def _told(settings: Settings, images: str | None) -> str:
    found = settings.start
    if found.kind == "study":
        return f"pre-trained{f' on {images}' if images else ''} (study `{found.name}`)"
    return {
        initial_checkpoint.NONE: _SCRATCH,
        initial_checkpoint.TORCHVISION: "from torchvision's weights",
        "official": f"from official {found.name} weights",
        "npz": f"from the weights in {found.name.removeprefix(initial_checkpoint.NPZ)}.npz",
    }[found.kind]
