"""Three presets, one code path: small dicts merged under a study's own values."""

from typing import Any, Final

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
