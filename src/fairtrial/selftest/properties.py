"""What must hold of every single data set: shifts, scales, swapped arms, seed order, refusals."""

from __future__ import annotations

from typing import Final

import numpy as np

from fairtrial import stats
from fairtrial.selftest.harness import Check

Rng = np.random.Generator
_ALWAYS: Final = (1.0, 1.0)
_TABLES: Final = 1000


def _same(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.isclose(first, second, rtol=1e-9, atol=1e-9)


def shift_and_scale(rng: Rng, draws: int) -> np.ndarray:
    """Limits move and stretch with the data."""
    x = rng.normal(size=(draws, 6))
    found, moved = stats.mean_intervals(x), stats.mean_intervals(30 + 7 * x)
    return _same(moved.low, 30 + 7 * found.low) & _same(moved.high, 30 + 7 * found.high)


def seed_order(rng: Rng, draws: int) -> np.ndarray:
    """Seeds in another order give the same interval, as long as pairs stay together."""
    a, b = rng.normal(size=(2, draws, 7))
    order = rng.permutation(7)
    found, turned = stats.paired_intervals(a, b), stats.paired_intervals(a[:, order], b[:, order])
    return _same(found.low, turned.low) & _same(found.p, turned.p)


def swapped_arms(rng: Rng, draws: int) -> np.ndarray:
    """The other way round, the limits change sign, and those of a ratio turn over."""
    a, b = rng.normal(size=(2, draws, 7))
    found, turned = stats.paired_intervals(a, b), stats.paired_intervals(b, a)
    ratio, inverse = stats.ratio_intervals(np.exp(a), np.exp(b)), stats.ratio_intervals(np.exp(b), np.exp(a))
    return _same(found.low, -turned.high) & _same(ratio.low * inverse.high, np.ones(draws))


def identical_arms(rng: Rng, draws: int) -> np.ndarray:
    """An estimate of exactly 0, and no interval."""
    a = rng.normal(size=(draws, 7))
    found = stats.paired_intervals(a, a)
    return (found.estimate == 0) & np.isinf(found.high) & (found.p == 1)


def narrowing(rng: Rng, draws: int) -> np.ndarray:
    """The mean width over 100 data sets falls as n doubles."""
    x = rng.normal(size=(draws, 100, 32))
    widths = [
        np.array([np.mean(found.high - found.low) for found in map(stats.mean_intervals, x[:, :, :n])])
        for n in (4, 8, 16, 32)
    ]
    return np.all(np.diff(widths, axis=0) < 0, axis=0)


def refused(rng: Rng, draws: int) -> np.ndarray:
    """A NaN raises and is never dropped."""
    rows = rng.normal(size=(draws, 5))
    rows[np.arange(draws), rng.integers(0, 5, draws)] = np.nan
    return np.array([_raises(row) for row in rows])


def _raises(row: np.ndarray) -> bool:
    try:
        stats.mean_interval(row)
    except ValueError:
        return True
    return False


CHECKS: Final = (
    Check("shift and scale carry through", _ALWAYS, shift_and_scale, _TABLES),
    Check("seed order does not matter", _ALWAYS, seed_order, _TABLES),
    Check("swapped arms change the sign", _ALWAYS, swapped_arms, _TABLES),
    Check("identical arms differ by exactly 0", _ALWAYS, identical_arms, _TABLES),
    Check("intervals narrow with n", _ALWAYS, narrowing, 100),
    Check("a NaN is refused", _ALWAYS, refused, _TABLES),
)
