"""Tests that must reject a true null as rarely as they say, and plans that must find what they promise."""

from functools import partial

import numpy as np

from fairtrial import stats
from tests.calibration.claims import ALPHA, RESAMPLED, STUDIES, Check, misses, of_rows

_FAMILY = 4


def equivalence(rng, draws):
    """Equivalence is claimed although the difference sits on the margin."""
    return of_rows(lambda d: stats.tost(d, margin=1.0).equivalent, rng.normal(1, 0.4, size=(draws, 6)))


def adjusted(family):
    """Holm's p values of the t tests of each row of a family, (contrasts, n)."""
    return stats.holm([stats.paired_interval(d, np.zeros_like(d)).p for d in family]).adjusted_p


def holm(rng, draws):
    """Any of five true nulls is rejected."""
    return of_rows(lambda family: (adjusted(family) <= ALPHA).any(), rng.normal(size=(draws, 5, 8)))


def sign_flip(rng, draws, alpha):
    """A symmetric law, no difference."""
    return of_rows(lambda d: stats.sign_flip_p(d).p <= alpha, rng.laplace(size=(draws, 8)))


def conservative(rng, draws, pairs):
    """A plan from a pilot, by the upper limit of its sd, has the power that it promises."""
    sds = rng.normal(size=(draws, pairs)).std(axis=1, ddof=1)
    plans = [stats.more_seeds(pairs, float(sd), 1.0).n_conservative for sd in sds]
    reached = {n: stats.power(n, 1.0) >= 0.8 for n in set(plans)}
    return np.array([reached[n] for n in plans])


def planned(rng, draws, effect, wanted):
    """A study of four contrasts, with the seeds that its plan asks for, finds the one that is no null."""
    n = stats.seeds_needed(effect, power=wanted, alpha=ALPHA / _FAMILY)
    truth = effect * (np.arange(_FAMILY) == 0)[:, None]
    return of_rows(lambda family: adjusted(family)[0] <= ALPHA, rng.normal(size=(draws, _FAMILY, n)) + truth)


def power(rng, draws, n, effect, paired):
    """A true effect, in standard deviations, is found."""
    a, b = rng.normal(effect, 1, size=(draws, n)), rng.normal(size=(draws, n))
    if paired:
        return of_rows(lambda x: misses(stats.mean_interval(x)), a)
    return of_rows(lambda x, y: misses(stats.welch_interval(x, y)), a, b)


def promised(n, effect, paired):
    """The planner's power, kept by the interval that decides; Welch gives up to two hundredths of it away."""
    share = stats.power(n, effect, paired=paired)
    name = f"power of {'paired t' if paired else 'Welch'}, n = {n}, effect {effect:g} sd"
    claim = (share, share) if paired else (share - 0.02, share)
    return Check(name, claim, partial(power, n=n, effect=effect, paired=paired))


def plan(effect, wanted):
    """What `plan --effect` promises of four contrasts: its power at the strictest step."""
    n = stats.seeds_needed(effect, power=wanted, alpha=ALPHA / _FAMILY)
    least = stats.power(n, effect, alpha=ALPHA / _FAMILY)
    name = f"planned for power {wanted:g}, {effect:g} sd, 4 contrasts"
    return Check(name, (least, least + 0.01), partial(planned, effect=effect, wanted=wanted), STUDIES)


CHECKS = (
    Check("TOST at the margin, n = 6", (0.045, ALPHA), equivalence),
    Check("Holm, 5 true nulls", (1 - (1 - ALPHA / 5) ** 5,) * 2, holm),
    Check("sign flips at .05, n = 8", (12 / 256,) * 2, partial(sign_flip, alpha=0.05)),
    Check("sign flips at .2, n = 8", (50 / 256,) * 2, partial(sign_flip, alpha=0.2)),
    promised(10, 1.0, paired=True),
    promised(5, 2.0, paired=True),
    promised(17, 1.0, paired=False),
    plan(1.0, 0.8),
    plan(0.7, 0.9),
    Check("conservative plans, pilot of 5, keep .8", (0.8, 0.87), partial(conservative, pairs=5), RESAMPLED),
)
