"""What is declared: factors, settings, contrasts, budget, presets, recipes; how a study file is loaded.

Nothing here imports torch, opens a result or starts a process.
"""

from typing import Any

__all__ = ["Budget", "Contrast", "Study"]


def __getattr__(name: str) -> Any:
    """Hand on the names that study files import from here."""
    import fairtrial

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(fairtrial, name)
