"""Intervals that must cover as often as they claim, on laws whose truth is known."""

from functools import partial

import numpy as np
from scipy.special import gammaln, xlog1py, xlogy

from fairtrial import stats
from tests.calibration.claims import AT_95, EXACT, NEAR_95, Check, covers, of_rows

_IMAGES = 1000


def mean(rng, draws, n):
    """Student's interval on normal data."""
    return of_rows(lambda x: covers(stats.mean_interval(x), 7), rng.normal(7, 2, size=(draws, n)))


def trimmed(rng, draws):
    """Yuen's interval of ten values with heavy tails."""
    return of_rows(lambda x: covers(stats.trimmed_interval(x), 0), rng.standard_t(3, size=(draws, 10)))


def spread(rng, draws):
    """The chi-squared interval of the sd of six normal values."""
    rows = rng.normal(0, 3, size=(draws, 6))
    return of_rows(lambda x: covers(stats.sd_interval(dict(enumerate(x))), 3), rows)


def paired(rng, draws):
    """Five pairs that correlate at .8."""
    shared, own, other = rng.normal(size=(3, draws, 5))
    a, b = (np.sqrt(0.8) * shared + np.sqrt(0.2) * each for each in (own, other))
    return of_rows(lambda x, y: covers(stats.paired_interval(x, y), 1), a + 1, b)


def welch(rng, draws):
    """Five values of sd 3 against twelve of sd 1."""
    a, b = rng.normal(1, 3, (draws, 5)), rng.normal(0, 1, (draws, 12))
    return of_rows(lambda x, y: covers(stats.welch_interval(x, y), 1), a, b)


def interaction(rng, draws):
    """Four cells that share a seed effect."""
    cells = rng.normal(size=(4, draws, 5)) + rng.normal(size=(draws, 5))
    return of_rows(lambda *four: covers(stats.interaction_interval(*four), 0), *cells)


def ratio(rng, draws):
    """Lognormal rates, the first ones e^.5 times as high."""
    a, b = np.exp(rng.normal(0.5, 0.3, size=(draws, 8))), np.exp(rng.normal(0, 0.3, size=(draws, 8)))
    return of_rows(lambda x, y: covers(stats.ratio_interval(x, y), float(np.exp(0.5))), a, b)


def nested(rng, draws, subsets, orders):
    """Scores of few-shot subsets, each run in several orders: sd 3 between subsets, 1 between orders."""
    return rng.normal(0, 3, (draws, subsets, 1)) + rng.normal(size=(draws, subsets, orders))


def subset_means(rng, draws):
    """Orders are averaged inside each of 4 subsets, so n = 4."""
    runs, labels = nested(rng, draws, 4, 3).reshape(draws, 12), np.repeat(range(4), 3).tolist()
    return of_rows(lambda x: covers(stats.mean_interval(x, groups=labels), 0), runs)


def checkpoint_means(rng, draws):
    """Five checkpoints per arm with four fine-tunings each, averaged: equal sd at both levels."""
    a, b = rng.normal(size=(2, draws, 5, 1)) + rng.normal(size=(2, draws, 5, 4))
    return of_rows(lambda x, y: covers(stats.welch_interval(x, y), 0), a.mean(axis=2), b.mean(axis=2))


def proportion(_, __, rate):
    """The coverage at a true rate, summed over all counts of 1 000 images with their chances."""
    k = np.arange(_IMAGES + 1)
    logs = gammaln(_IMAGES + 1) - gammaln(k + 1) - gammaln(_IMAGES - k + 1)
    chance = np.exp(logs + xlogy(k, rate) + xlog1py(_IMAGES - k, -rate))
    return np.asarray(chance @ of_rows(lambda n: covers(stats.clopper_pearson(int(n), _IMAGES), rate), k))


def curves(rng, draws):
    """Five seeds, ten checkpoints: each curve is a random walk around a true mean of 0."""
    return rng.normal(size=(draws, 5, 10)).cumsum(axis=2)


def band(rng, draws):
    """Bonferroni's band holds the whole curve; on correlated checkpoints more often than it says."""
    bands = map(stats.simultaneous_band, curves(rng, draws))
    return np.array([np.all((each.low <= 0) & (each.high >= 0)) for each in bands])


CHECKS = (
    *(Check(f"t of a mean, normal, n = {n}", AT_95, partial(mean, n=n)) for n in (3, 5, 10)),
    Check("trimmed mean, heavy tails, n = 10", (0.94, 0.975), trimmed),
    Check("chi-squared of an sd, n = 6", AT_95, spread),
    Check("paired t at r = .8, n = 5", AT_95, paired),
    Check("Welch, n = 5 and 12, sd 3 and 1", NEAR_95, welch),
    Check("paired interaction, n = 5", AT_95, interaction),
    Check("log ratio, lognormal, n = 8", AT_95, ratio),
    Check("subset means of 4 x 3 runs", AT_95, subset_means),
    Check("checkpoint means of 5 x 4 fine-tunings", NEAR_95, checkpoint_means),
    *(
        Check(f"Clopper-Pearson at {rate}, N = 1000", (0.95, 0.98), partial(proportion, rate=rate), EXACT)
        for rate in (0.5, 0.9, 0.99)
    ),
    Check("Bonferroni band over 10 checkpoints, n = 5", (0.95, 0.98), band),
)
