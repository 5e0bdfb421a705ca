"""Three presets, one code path: small dicts merged under a study's own values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fairtrial.errors import fault

if TYPE_CHECKING:
    from fairtrial.study.study import Study

DEFAULT: Final = "embedded"

PRESETS: Final[dict[str, dict[str, Any]]] = {
    # any laptop, minutes, no network
    "embedded": {"model": "mini", "data": "digits", "resolution": 16, "augment": "none", "val_per_class": 12},
    # CIFAR-10 or data of its size, from a download or from --data
    "mini": {
        "model": "mini",
        "data": "cifar10",
        "resolution": 32,
        "augment": "crop-flip",
        "val_per_class": 50,
    },
    # the networks of BiT, on a GPU; a study adds its start and its recipe
    "bit": {
        "model": "r50x1",
        "data": "cifar10",
        "resolution": 128,
        "augment": "crop-flip",
        "val_per_class": 0,
    },
}


def refuse_undeclared(preset: str, study: Study) -> None:
    """A Fault where a study does not declare a known preset: its budget there would be that of another."""
    own = (study.preset, *(name for name in study.presets if name != study.preset))
    if preset in PRESETS and preset not in own:
        do = f"choose one of: {', '.join(own)}; or declare presets={{{preset!r}: ...}} in the study"
        raise fault(f"{study.name} has no preset {preset!r}", "--preset", do)
