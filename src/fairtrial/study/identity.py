"""What identifies a declaration or a record: its canonical JSON text and the digest of that text."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest(value: Any) -> str:
    """Return the sha256 of the canonical JSON text of a value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def canonical(value: Any) -> str:
    """Return JSON with sorted keys and no spare space; NaN and infinities are a ValueError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
