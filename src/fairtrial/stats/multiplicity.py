"""Many contrasts, one family: adjusted p values and the level at which each contrast is decided."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fairtrial.stats.array_records import Adjusted, Holm
from fairtrial.stats.inputs import Values
from fairtrial.stats.rules import check_share


def holm(p: Values, *, alpha: float = 0.05, unit: str = "contrast", scope: str = "this family") -> Holm:
    """Holm's step-down method (1979) over m p values; it controls the chance of any false rejection.

    Sorted ascending, adjusted p_(k) = max over j <= k of min(1, (m-j+1) · p_(j)); all arrays come in input
    order. `step_level` is 1 - alpha / (m-k+1) at the step k at which a contrast was tested; contrasts after
    the first failure take the step that failed, so that an interval at `step_level` excludes 0 where `reject`
    is true and only there. m = 0 gives empty arrays.
    """
    check_share(alpha, "alpha")
    raw = _shares(p)
    adjusted, step = holm_steps(raw, alpha)
    return Holm(
        method="Holm",
        n=len(raw),
        unit=unit,
        scope=scope,
        alpha=alpha,
        p=raw,
        adjusted_p=adjusted,
        reject=adjusted <= alpha,
        step=step,
        step_level=1 - alpha / (len(raw) - step + 1),
    )


def holm_steps(raw: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Adjusted p values and steps along the last axis: (..., m) p values, a family per row."""
    m = raw.shape[-1]
    order = np.argsort(raw, axis=-1, kind="stable")
    left = m - np.arange(m)  # contrasts not yet decided at each step
    climbing = np.maximum.accumulate(left * np.take_along_axis(raw, order, -1), axis=-1).clip(max=1)
    rejected = np.count_nonzero(climbing <= alpha, axis=-1, keepdims=True)
    step = np.minimum(np.arange(1, m + 1), rejected + 1)
    back = np.argsort(order, axis=-1)
    return np.take_along_axis(climbing, back, -1), np.take_along_axis(step, back, -1)


def holm_levels(p: Values, alpha: float = 0.05) -> np.ndarray:
    """The level of each contrast's difference interval, in input order, as `holm` decides it."""
    return holm(p, alpha=alpha).step_level


def benjamini_hochberg(
    p: Values, *, alpha: float = 0.05, unit: str = "contrast", scope: str = "this family"
) -> Adjusted:
    """Step-up p values (Benjamini & Hochberg 1995): min over j >= k of m · p_(j) / j, at most 1.

    They bound the share of false discoveries: for secondary and exploratory tables. m = 0 gives empty arrays.
    """
    check_share(alpha, "alpha")
    raw = _shares(p)
    m = len(raw)
    order = np.argsort(raw, kind="stable")
    scaled = m * raw[order] / np.arange(1, m + 1)
    adjusted = np.minimum(1, np.minimum.accumulate(scaled[::-1])[::-1])[np.argsort(order)]
    return Adjusted(
        method="Benjamini-Hochberg",
        n=m,
        unit=unit,
        scope=scope,
        alpha=alpha,
        p=raw,
        adjusted_p=adjusted,
        reject=adjusted <= alpha,
    )


def _shares(p: Values) -> np.ndarray:
    values = np.array(list(p.values()) if isinstance(p, Mapping) else p, dtype=float)
    if values.ndim != 1:
        raise ValueError(f"p is a list of p values; got an array of shape {values.shape}")
    bad = np.flatnonzero(~((values >= 0) & (values <= 1))).tolist()
    if bad:
        raise ValueError(f"p lies in [0, 1]; got {values[bad].tolist()} at positions {bad}")
    return values
