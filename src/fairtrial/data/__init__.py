"""Images as tensors, known by their content: open a data set, draw a few-shot subset, seal the test split."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairtrial.data.dataset import Dataset, Sealed, check_dataset, examine_dataset, open_dataset
    from fairtrial.data.subsets import Subset, few_shot
    from fairtrial.study.data_spec import name_of

__all__ = [
    "Dataset",
    "Sealed",
    "Subset",
    "check_dataset",
    "examine_dataset",
    "few_shot",
    "name_of",
    "open_dataset",
]

_HOMES = {
    "Dataset": "fairtrial.data.dataset",
    "Sealed": "fairtrial.data.dataset",
    "check_dataset": "fairtrial.data.dataset",
    "examine_dataset": "fairtrial.data.dataset",
    "open_dataset": "fairtrial.data.dataset",
    "name_of": "fairtrial.study.data_spec",
    "Subset": "fairtrial.data.subsets",
    "few_shot": "fairtrial.data.subsets",
}


def __getattr__(name: str) -> Any:
    """Import on first use (PEP 562): a subset must not cost an import of torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
