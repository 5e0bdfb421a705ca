"""Studies whose arms choose their rates first: what their intervals cover, and what they do not.

A study here is a real choice, `selection.select` over trials on a grid, and then confirmatory differences at
the chosen rates. Its estimand is conditional on the rates; over new tunings as well, it covers too little.
"""

from functools import partial

import numpy as np

from fairtrial import stats
from fairtrial.tuning.selection import Trial, select
from tests.calibration.claims import ALPHA, DRAWS, Check, covers
from tests.calibration.error_claims import adjusted

RATES = (0.03, 0.1, 0.3, 1.0, 3.0)
SEEDS = 2  # tuning seeds, as the shipped studies have
NOISE = 1.0  # sd of a tuning seed and of a confirmatory difference, in points
# Accuracy at each rate, in points: one best rate, or a plateau, on which choices move and the truth does not.
PEAK = np.array([80.0, 92.0, 94.0, 93.0, 70.0])
PLATEAU = np.array([70.0, 94.0, 94.0, 94.0, 60.0])
FAMILY, N, MARGIN = 4, 8, 1.5


def chosen(rng, curve):
    """The place of the rate that an arm chooses by its trials; a loss is what accuracy lacks."""
    losses = 100 - curve[:, None] + NOISE * rng.normal(size=(len(RATES), SEEDS))
    trials = [
        Trial(place, {"lr": rate}, tuple(losses[place].tolist()), (), None, 0.0)
        for place, rate in enumerate(RATES)
    ]
    return select(trials).number


def gap(rng, curve):
    """The true difference of two arms at the rates that they chose."""
    return float(curve[chosen(rng, curve)] - curve[chosen(rng, curve)])


def differences(rng, truth):
    """Confirmatory differences at chosen rates."""
    return truth + NOISE * rng.normal(size=N)


def interval(differences):
    return stats.paired_interval(differences, np.zeros_like(differences))


def coverage(rng, draws, conditional):
    """The interval of a tuned contrast covers its truth at the chosen rates, or that over all tunings, 0."""
    gaps = [gap(rng, PEAK) for _ in range(draws)]
    return np.array([covers(interval(differences(rng, g)), g if conditional else 0.0) for g in gaps])


def false_better(rng, draws):
    """Any of four contrasts is called better or worse whose arms are alike at their chosen rates."""
    return np.array([_any_false(rng, 0.0, _decided) for _ in range(draws)])


def false_equivalent(rng, draws):
    """Any of four contrasts is called equivalent whose arms lie a margin apart at their chosen rates."""
    return np.array([_any_false(rng, MARGIN, _equivalent) for _ in range(draws)])


def _any_false(rng, apart, called):
    truths = np.array([gap(rng, PLATEAU) for _ in range(FAMILY)]) + apart * rng.choice([-1, 1], FAMILY)
    family = np.array([differences(rng, truth) for truth in truths])
    null = truths == 0 if apart == 0 else np.abs(truths) >= MARGIN
    return bool((called(family) & null).any())


def _decided(family):
    return np.asarray(adjusted(family)) <= ALPHA


def _equivalent(family):
    p = [stats.tost(row, margin=MARGIN).p for row in family]
    return np.asarray(stats.holm(p).adjusted_p) <= ALPHA


CHECKS = (
    Check("tuned arms, at their chosen rates", (0.93, 0.97), partial(coverage, conditional=True), DRAWS),
    Check("better or worse of 4 tuned contrasts", (0.02, 0.06), false_better, DRAWS),
    Check("equivalent, of 4 tuned contrasts a margin apart", (0.02, 0.06), false_equivalent, DRAWS),
)
# One search for each arm, read as a claim over all searches: what it lacks stands in its rate.
CONTROLS = (
    Check(
        "tuned once, read as a claim over new tunings",
        (0.93, 0.97),
        partial(coverage, conditional=False),
        DRAWS,
        known=0.75,
    ),
)
