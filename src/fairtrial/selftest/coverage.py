"""Intervals that must cover as often as they claim, on laws whose truth is known."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np
from scipy.special import gammaln, xlog1py, xlogy

from fairtrial import stats
from fairtrial.selftest.harness import EXACT, RESAMPLED, Check

Rng = np.random.Generator
AT_95: Final = (0.95, 0.95)
NEAR_95: Final = (0.94, 0.96)  # for methods that are close, not exact
_IMAGES: Final = 1000


def covers(found: Any, truth: float) -> np.ndarray:
    """Whether each interval holds the truth."""
    return (found.low <= truth) & (truth <= found.high)


def mean(rng: Rng, draws: int, n: int) -> np.ndarray:
    """Student's interval on normal data."""
    return covers(stats.mean_intervals(rng.normal(7, 2, size=(draws, n))), 7)


def paired(rng: Rng, draws: int) -> np.ndarray:
    """Five pairs that correlate at .8."""
    shared, own, other = rng.normal(size=(3, draws, 5))
    a, b = (np.sqrt(0.8) * shared + np.sqrt(0.2) * each for each in (own, other))
    return covers(stats.paired_intervals(a + 1, b), 1)


def welch(rng: Rng, draws: int) -> np.ndarray:
    """Five values of sd 3 against twelve of sd 1."""
    return covers(stats.welch_intervals(rng.normal(1, 3, (draws, 5)), rng.normal(0, 1, (draws, 12))), 1)


def interaction(rng: Rng, draws: int) -> np.ndarray:
    """Four cells that share a seed effect."""
    cells = rng.normal(size=(4, draws, 5)) + rng.normal(size=(draws, 5))
    return covers(stats.interaction_intervals(*cells), 0)


def ratio(rng: Rng, draws: int) -> np.ndarray:
    """Lognormal rates, the first ones e^.5 times as high."""
    a, b = np.exp(rng.normal(0.5, 0.3, size=(draws, 8))), np.exp(rng.normal(0, 0.3, size=(draws, 8)))
    return covers(stats.ratio_intervals(a, b), float(np.exp(0.5)))


def median(rng: Rng, draws: int, n: int) -> np.ndarray:
    """Order statistics of skewed data."""
    return covers(stats.median_intervals(rng.exponential(size=(draws, n))), float(np.log(2)))


def nested(rng: Rng, draws: int, subsets: int, orders: int) -> np.ndarray:
    """Scores of few-shot subsets, each run in several orders: sd 3 between subsets, 1 between orders."""
    return rng.normal(0, 3, (draws, subsets, 1)) + rng.normal(size=(draws, subsets, orders))


def subset_means(rng: Rng, draws: int) -> np.ndarray:
    """Orders are averaged inside each of 4 subsets, so n = 4."""
    runs = nested(rng, draws, 4, 3).reshape(draws, 12)
    return covers(stats.mean_intervals(runs, groups=np.repeat(range(4), 3).tolist()), 0)


def checkpoint_means(rng: Rng, draws: int) -> np.ndarray:
    """Five checkpoints per arm with four fine-tunings each, averaged: equal sd at both levels."""
    a, b = rng.normal(size=(2, draws, 5, 1)) + rng.normal(size=(2, draws, 5, 4))
    return covers(stats.welch_intervals(a.mean(axis=2), b.mean(axis=2)), 0)


def studentized(rng: Rng, draws: int) -> np.ndarray:
    """Ten normal values, 999 resamples."""
    rows = rng.normal(size=(draws, 10))
    how: dict[str, Any] = {"method": "studentized", "resamples": 999, "rng": rng}
    return np.array([covers(stats.bootstrap_interval(row, **how), 0) for row in rows])


def proportion(_: Rng, __: int, rate: float, exact: bool) -> np.ndarray:
    """The coverage at a true rate, summed over all counts of 1 000 images with their chances."""
    k = np.arange(_IMAGES + 1)
    logs = gammaln(_IMAGES + 1) - gammaln(k + 1) - gammaln(_IMAGES - k + 1)
    chance = np.exp(logs + xlogy(k, rate) + xlog1py(_IMAGES - k, -rate))
    interval = stats.clopper_pearson_intervals if exact else stats.wilson_intervals
    return np.asarray(chance @ covers(interval(k, _IMAGES), rate))


def curves(rng: Rng, draws: int) -> np.ndarray:
    """Five seeds, ten checkpoints: each curve is a random walk around a true mean of 0."""
    return rng.normal(size=(draws, 5, 10)).cumsum(axis=2)


def iqm(rng: Rng, draws: int) -> np.ndarray:
    """The interquartile mean of ten runs on each of four tasks that are alike."""
    rows = rng.normal(size=(draws, 10, 4))
    return np.array([covers(stats.iqm_interval(each, resamples=999, rng=rng), 0) for each in rows])


def sup_t(rng: Rng, draws: int) -> np.ndarray:
    """The band of resampled curves, of ten random walks over ten checkpoints."""
    walks = rng.normal(size=(draws, 10, 10)).cumsum(axis=2)
    found = (stats.simultaneous_band(each, method="sup-t", rng=rng) for each in walks)
    return np.array([np.all(covers(each, 0)) for each in found])


def band(rng: Rng, draws: int) -> np.ndarray:
    """Bonferroni's band holds the whole curve; on correlated checkpoints more often than it says."""
    found = stats.simultaneous_bands(curves(rng, draws))
    return np.all(covers(found, 0), axis=1)


CHECKS: Final = (
    *(Check(f"t of a mean, normal, n = {n}", AT_95, partial(mean, n=n)) for n in (3, 5, 10)),
    Check("paired t at r = .8, n = 5", AT_95, paired),
    Check("Welch, n = 5 and 12, sd 3 and 1", NEAR_95, welch),
    Check("paired interaction, n = 5", AT_95, interaction),
    Check("log ratio, lognormal, n = 8", AT_95, ratio),
    Check("median by ranks, n = 6", (0.96875, 0.96875), partial(median, n=6)),
    Check("median by ranks, n = 10", (0.978515625, 0.978515625), partial(median, n=10)),
    Check("subset means of 4 x 3 runs", AT_95, subset_means),
    Check("checkpoint means of 5 x 4 fine-tunings", NEAR_95, checkpoint_means),
    Check("studentized bootstrap, n = 10", NEAR_95, studentized, RESAMPLED),
    *(
        Check(f"Wilson at {rate}, N = 1000", (0.94, 0.97), partial(proportion, rate=rate, exact=False), EXACT)
        for rate in (0.5, 0.9, 0.99)
    ),
    *(
        Check(
            f"Clopper-Pearson at {rate}, N = 1000",
            (0.95, 0.98),
            partial(proportion, rate=rate, exact=True),
            EXACT,
        )
        for rate in (0.5, 0.9, 0.99)
    ),
    Check("IQM over 4 tasks, n = 10", (0.90, 0.93), iqm, RESAMPLED),
    Check("Bonferroni band over 10 checkpoints, n = 5", (0.95, 0.98), band),
    Check("sup-t band over 10 checkpoints, n = 10", (0.95, 0.98), sup_t, RESAMPLED),
)
