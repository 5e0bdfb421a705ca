"""A small study whose page is looked at."""

from __future__ import annotations

PLAIN = {
    "factors": {"norm": ("bn", "gn"), "batch_size": (4, 64)},
    "aa": None,
    "seeds": range(3),
}
