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
    # the canonical text of these four, of which the settings are the last by name and the same in many cells
    first = canonical({"budget": str(budget), "replica": replica, "seed": seed})
    whole = f'{first[:-1]},"settings":{settings.identity_text}}}'
    return hashlib.sha256(whole.encode()).hexdigest()[:12]


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
