"""Studies that are looked at before their last seed, by the rules that are offered and by the naive one."""

from functools import partial

import numpy as np

from fairtrial import stats
from fairtrial.study.limits import MIN_UNITS
from fairtrial.study.stopping import LOOKS
from tests.calibration.claims import ALPHA, SEQUENTIAL, Check, misses, of_rows
from tests.calibration.error_claims import adjusted

_MARGIN = 1.0
_FAMILY = 4
_LAST = 40  # seeds


def looks(rng, draws, part):
    """Any of the looks at 5, 10 and 20 seeds rejects a true null, each at this part of alpha."""
    level = 1 - part * ALPHA
    return of_rows(
        lambda d: any(misses(stats.mean_interval(d[:n], level)) for n in LOOKS),
        rng.normal(size=(draws, LOOKS[-1])),
    )


def family(rng, draws):
    """Any of four true nulls is rejected at any look: Holm over all four at a third of alpha."""
    part = ALPHA / len(LOOKS)
    return of_rows(
        lambda table: any((adjusted(table[:, :n]) <= part).any() for n in LOOKS),
        rng.normal(size=(draws, _FAMILY, LOOKS[-1])),
    )


def equal_at_looks(rng, draws):
    """Equivalence is claimed at any look although the difference sits on the margin."""
    part = ALPHA / len(LOOKS)
    return of_rows(
        lambda d: any(stats.tost(d[:n], margin=_MARGIN, alpha=part).equivalent for n in LOOKS),
        rng.normal(_MARGIN, 0.4, size=(draws, LOOKS[-1])),
    )


def ever_misses(d, alpha=ALPHA):
    """Whether the confidence sequence excludes 0 at any n."""
    sequence = stats.confidence_sequence(d, alpha=alpha)
    return bool(np.any((sequence.low > 0) | (sequence.high < 0)))


def sequence(rng, draws):
    """The confidence sequence misses anywhere in n = 2..40."""
    return of_rows(ever_misses, rng.normal(size=(draws, _LAST)))


def sequences(rng, draws):
    """Any of four confidence sequences at a quarter of alpha, Holm's first step, misses anywhere."""
    return of_rows(
        lambda *family: any(ever_misses(d, ALPHA / _FAMILY) for d in family),
        *rng.normal(size=(_FAMILY, draws, _LAST)),
    )


def equal_in_sequence(rng, draws):
    """Equivalence is claimed after any seed although the difference sits on the margin."""

    def claimed(d):
        found = stats.confidence_sequence(d, alpha=2 * ALPHA)
        return bool(np.any(((found.low > -_MARGIN) & (found.high < _MARGIN))[MIN_UNITS - 2 :]))

    return of_rows(claimed, rng.normal(_MARGIN, 0.4, size=(draws, _LAST)))


def peeking(rng, draws):
    """A test after each seed, until one rejects a true null."""
    return of_rows(
        lambda d: any(misses(stats.mean_interval(d[:n])) for n in range(3, 21)),
        rng.normal(size=(draws, 20)),
    )


CHECKS = (
    Check("looks at n = 5, 10, 20, 1/3 of .05 each", (0.035, ALPHA), partial(looks, part=1 / 3), SEQUENTIAL),
    Check("the same looks, Holm over 4 true nulls", (0.025, ALPHA), family, SEQUENTIAL),
    Check("the same looks, TOST at the margin", (0.035, ALPHA), equal_at_looks, SEQUENTIAL),
    Check("confidence sequence, any n in 2..40", (0.015, ALPHA), sequence, SEQUENTIAL),
    Check("confidence sequences of 4 true nulls", (0.005, ALPHA), sequences, SEQUENTIAL),
    Check("confidence sequence at the margin", (0.005, ALPHA), equal_in_sequence, SEQUENTIAL),
)
CONTROLS = (
    Check("the same looks, each at .05", (ALPHA, ALPHA), partial(looks, part=1), SEQUENTIAL, 0.11),
    Check("a test after each seed, n = 3..20", (ALPHA, ALPHA), peeking, SEQUENTIAL, 0.23),
)
