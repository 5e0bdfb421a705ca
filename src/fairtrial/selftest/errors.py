"""Tests that must reject a true null as rarely as they say, and plans that must find what they promise."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np

from fairtrial import stats
from fairtrial.selftest.harness import RESAMPLED, STUDIES, Check

Rng = np.random.Generator
ALPHA: Final = 0.05
_FAMILY: Final = 4


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


def conservative(rng: Rng, draws: int, pairs: int) -> np.ndarray:
    """A plan from a pilot, by the upper limit of its sd, has the power that it promises."""
    sds = rng.normal(size=(draws, pairs)).std(axis=1, ddof=1)
    plans = [stats.more_seeds(pairs, float(sd), 1.0).n_conservative for sd in sds]
    reached = {n: stats.power(n, 1.0) >= 0.8 for n in set(plans)}
    return np.array([reached[n] for n in plans])


def planned(rng: Rng, draws: int, effect: float, wanted: float) -> np.ndarray:
    """A study of four contrasts, with the seeds that its plan asks for, finds the one that is no null."""
    n = stats.seeds_needed(effect, power=wanted, alpha=ALPHA / _FAMILY)
    truth = effect * (np.arange(_FAMILY) == 0)[:, None]
    d = rng.normal(size=(draws, _FAMILY, n)) + truth
    p = np.transpose([stats.mean_intervals(d[:, i]).p for i in range(_FAMILY)])
    return stats.holms(p)[:, 0] <= ALPHA


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


def plan(effect: float, wanted: float) -> Check:
    """What `plan --effect` promises of four contrasts: its power at the strictest step."""
    n = stats.seeds_needed(effect, power=wanted, alpha=ALPHA / _FAMILY)
    least = stats.power(n, effect, alpha=ALPHA / _FAMILY)
    name = f"planned for power {wanted:g}, {effect:g} sd, 4 contrasts"
    return Check(name, (least, least + 0.01), partial(planned, effect=effect, wanted=wanted), STUDIES)


CHECKS: Final = (
    Check("TOST at the margin, n = 6", (0.045, ALPHA), equivalence),
    Check("Holm, 5 true nulls", (1 - (1 - ALPHA / 5) ** 5,) * 2, holm),
    Check("Westfall-Young at .1, 4 true nulls, n = 6", (0.06, 0.1), westfall_young, RESAMPLED),
    Check("sign flips at .05, n = 8", (12 / 256,) * 2, partial(sign_flip, alpha=0.05)),
    Check("sign flips at .2, n = 8", (50 / 256,) * 2, partial(sign_flip, alpha=0.2)),
    Check("permutations at .05, n = 5 and 4", (6 / 126,) * 2, permutation),
    promised(10, 1.0, paired=True),
    promised(5, 2.0, paired=True),
    promised(17, 1.0, paired=False),
    plan(1.0, 0.8),
    plan(0.7, 0.9),
    Check("conservative plans, pilot of 5, keep .8", (0.8, 0.87), partial(conservative, pairs=5), RESAMPLED),
)
