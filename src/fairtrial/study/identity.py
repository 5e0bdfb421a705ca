"""What identifies a cell, a declaration or a record: a digest of its canonical JSON text."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fairtrial.study.budget import Budget
    from fairtrial.study.settings import Settings


_CANONICAL: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def cell_id(settings: Settings, budget: Budget, seed: int, replica: int = 0) -> str:
    """Return 12 hex digits over all that changes the result; settings at their default are left out."""
    # canonical JSON, in the order of names: every record that is read asks, so nothing is encoded here
    texts = {
        "budget": f'"{budget}"',
        "replica": f"{replica:d}",
        "seed": f"{seed:d}",
        "settings": settings.identity_text,  # made once: many cells share it
    }
    whole = ",".join([f'"{name}":{text}' for name, text in texts.items()])
    return hashlib.sha256(f"{{{whole}}}".encode()).hexdigest()[:12]


@cache
def arm_key(settings: Settings) -> str:
    """Return a short key of what the time of a training step depends on."""
    return digest(settings.step_identity())[:12]


def digest(value: Any) -> str:
    """Return the sha256 of the canonical JSON text of a value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def canonical(value: Any) -> str:
    """Return JSON with sorted keys and no spare space; NaN and infinities are a ValueError."""
    return _CANONICAL.encode(value)
