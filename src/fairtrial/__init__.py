"""fairtrial: ablations of Big Transfer as fair trials between arms.

A study file needs no more than `from fairtrial import Budget, Contrast, Study, drive`.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Budget": "fairtrial.study.budget",
    "Contrast": "fairtrial.study.contrast",
    "Study": "fairtrial.study.study",
    "Tuning": "fairtrial.study.tuning_design",
    "drive": "fairtrial.cli.main",
}
__all__ = ["Budget", "Contrast", "Study", "Tuning", "__version__", "drive"]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for: the package itself stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
