"""Studies that are looked at before their last seed, by the rules that are offered and by the naive one."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np

from fairtrial import stats
from fairtrial.selftest.errors import ALPHA, misses
from fairtrial.selftest.harness import SEQUENTIAL, Check
from fairtrial.study.limits import MIN_UNITS
from fairtrial.study.stopping import LOOKS

Rng = np.random.Generator
_MARGIN: Final = 1.0
_FAMILY: Final = 4
_LAST: Final = 40  # seeds


def looks(rng: Rng, draws: int, part: float) -> np.ndarray:
    """Any of the looks at 5, 10 and 20 seeds rejects a true null, each at this part of alpha."""
    d = rng.normal(size=(draws, LOOKS[-1]))
    return np.any([misses(stats.mean_intervals(d[:, :n], 1 - part * ALPHA)) for n in LOOKS], axis=0)


def family(rng: Rng, draws: int) -> np.ndarray:
    """Any of four true nulls is rejected at any look: Holm over all four at a third of alpha."""
    d = rng.normal(size=(draws, _FAMILY, LOOKS[-1]))
    found = [
        stats.holms(np.transpose([stats.mean_intervals(d[:, i, :n]).p for i in range(_FAMILY)]))
        for n in LOOKS
    ]
    return np.any(np.array(found) <= ALPHA / len(LOOKS), axis=(0, 2))


def equal_at_looks(rng: Rng, draws: int) -> np.ndarray:
    """Equivalence is claimed at any look although the difference sits on the margin."""
    d = rng.normal(_MARGIN, 0.4, size=(draws, LOOKS[-1]))
    part = ALPHA / len(LOOKS)
    return np.any([stats.tosts(d[:, :n], margin=_MARGIN, alpha=part).equivalent for n in LOOKS], axis=0)


def sequence(rng: Rng, draws: int) -> np.ndarray:
    """The confidence sequence misses anywhere in n = 2..40."""
    return np.any(misses(stats.confidence_sequences(rng.normal(size=(draws, _LAST)))), axis=1)


def sequences(rng: Rng, draws: int) -> np.ndarray:
    """Any of four confidence sequences at a quarter of alpha, Holm's first step, misses anywhere."""
    d = rng.normal(size=(_FAMILY, draws, _LAST))
    each = [misses(stats.confidence_sequences(one, alpha=ALPHA / _FAMILY)) for one in d]
    return np.any(each, axis=(0, 2))


def equal_in_sequence(rng: Rng, draws: int) -> np.ndarray:
    """Equivalence is claimed after any seed although the difference sits on the margin."""
    d = rng.normal(_MARGIN, 0.4, size=(draws, _LAST))
    found = stats.confidence_sequences(d, alpha=2 * ALPHA)
    return np.any(((found.low > -_MARGIN) & (found.high < _MARGIN))[:, MIN_UNITS - 2 :], axis=1)


def peeking(rng: Rng, draws: int) -> np.ndarray:
    """A test after each seed, until one rejects a true null."""
    d = rng.normal(size=(draws, 20))
    return np.any([misses(stats.mean_intervals(d[:, :n])) for n in range(3, 21)], axis=0)


_DRAWS: Final[dict[str, Any]] = {"draws": SEQUENTIAL}
CHECKS: Final = (
    Check("looks at n = 5, 10, 20, 1/3 of .05 each", (0.035, ALPHA), partial(looks, part=1 / 3), **_DRAWS),
    Check("the same looks, Holm over 4 true nulls", (0.025, ALPHA), family, **_DRAWS),
    Check("the same looks, TOST at the margin", (0.035, ALPHA), equal_at_looks, **_DRAWS),
    Check("confidence sequence, any n in 2..40", (0.015, ALPHA), sequence, **_DRAWS),
    Check("confidence sequences of 4 true nulls", (0.005, ALPHA), sequences, **_DRAWS),
    Check("confidence sequence at the margin", (0.005, ALPHA), equal_in_sequence, **_DRAWS),
)
CONTROLS: Final = (
    Check("the same looks, each at .05", (ALPHA, ALPHA), partial(looks, part=1), SEQUENTIAL, 0.11),
    Check("a test after each seed, n = 3..20", (ALPHA, ALPHA), peeking, SEQUENTIAL, 0.23),
)
