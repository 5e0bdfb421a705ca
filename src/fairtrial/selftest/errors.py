"""Tests and stopping rules that must reject a true null as rarely as they say, and find what power says."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np

from fairtrial import stats
from fairtrial.selftest.harness import RESAMPLED, Check

Rng = np.random.Generator
ALPHA: Final = 0.05
LOOKS: Final = (5, 10, 20)


def misses(found: Any) -> np.ndarray:
    """Whether each interval excludes 0."""
    return (found.low > 0) | (found.high < 0)


def equivalence(rng: Rng, draws: int) -> np.ndarray:
    """Equivalence is claimed although the difference sits on the margin."""
    return stats.tosts(rng.normal(1, 0.4, size=(draws, 6)), margin=1.0).equivalent


def holm(rng: Rng, draws: int) -> np.ndarray:
    """Any of five true nulls is rejected."""
    family = [stats.mean_intervals(rng.normal(size=(draws, 8))).p for _ in range(5)]
    return np.any(stats.holms(np.transpose(family)) <= ALPHA, axis=1)


def westfall_young(rng: Rng, draws: int) -> np.ndarray:
    """Any of four true nulls on shared seeds is rejected at .1; 2^6 flips make that 6 of 64."""
    tables = rng.normal(size=(draws, 6, 1)) + rng.normal(size=(draws, 6, 4))
    return np.array([(stats.westfall_young(each).adjusted_p <= 0.1).any() for each in tables])


def sign_flip(rng: Rng, draws: int, alpha: float) -> np.ndarray:
    """A symmetric law, no difference."""
    return stats.sign_flip_ps(rng.laplace(size=(draws, 8))) <= alpha


def permutation(rng: Rng, draws: int) -> np.ndarray:
    """Five against four values of one skewed law: 126 splits."""
    return np.array(
        [stats.permutation_p(row[:5], row[5:]).p <= ALPHA for row in rng.exponential(size=(draws, 9))]
    )


def sequence(rng: Rng, draws: int) -> np.ndarray:
    """The confidence sequence misses anywhere in n = 2..40."""
    return np.any(misses(stats.confidence_sequences(rng.normal(size=(draws, 40)))), axis=1)


def looks(rng: Rng, draws: int) -> np.ndarray:
    """Any of the declared looks, each at a third of alpha, rejects."""
    d = rng.normal(size=(draws, max(LOOKS)))
    level = 1 - ALPHA / len(LOOKS)
    return np.any([misses(stats.mean_intervals(d[:, :n], level)) for n in LOOKS], axis=0)


def power(rng: Rng, draws: int, n: int, effect: float, paired: bool) -> np.ndarray:
    """A true effect, in standard deviations, is found."""
    a, b = rng.normal(effect, 1, size=(draws, n)), rng.normal(size=(draws, n))
    return misses(stats.mean_intervals(a) if paired else stats.welch_intervals(a, b))


def promised(n: int, effect: float, paired: bool) -> Check:
    """The planner's power, kept by the interval that decides; Welch gives up to two hundredths of it away."""
    found = stats.power(n, effect, paired=paired)
    name = f"power of {'paired t' if paired else 'Welch'}, n = {n}, effect {effect:g} sd"
    claim = (found, found) if paired else (found - 0.02, found)
    return Check(name, claim, partial(power, n=n, effect=effect, paired=paired))


CHECKS: Final = (
    Check("TOST at the margin, n = 6", (0.045, ALPHA), equivalence),
    Check("Holm, 5 true nulls", (1 - (1 - ALPHA / 5) ** 5,) * 2, holm),
    Check("Westfall-Young at .1, 4 true nulls, n = 6", (0.06, 0.1), westfall_young, RESAMPLED),
    Check("sign flips at .05, n = 8", (12 / 256,) * 2, partial(sign_flip, alpha=0.05)),
    Check("sign flips at .2, n = 8", (50 / 256,) * 2, partial(sign_flip, alpha=0.2)),
    Check("permutations at .05, n = 5 and 4", (6 / 126,) * 2, permutation),
    Check("confidence sequence, any n in 2..40", (0.015, ALPHA), sequence),
    Check("declared looks at n = 5, 10, 20", (0.035, ALPHA), looks),
    promised(10, 1.0, paired=True),
    promised(5, 2.0, paired=True),
    promised(17, 1.0, paired=False),
)
