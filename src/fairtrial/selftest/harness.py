"""One claim of the statistics: simulated, counted, and held against the window of chance."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import bdtr

from fairtrial.rng import key

DRAWS: Final = 4000  # a true coverage of .93 is then reliably caught
RESAMPLED: Final = 1000  # data sets, where each is resampled: .90 is caught
STUDIES: Final = 2000  # whole studies, made as a plan says
SEQUENTIAL: Final = 10_000  # studies that are looked at several times
EXACT: Final = 0  # nothing is drawn: the share itself is compared
_TAIL: Final = 5e-5  # on each side of the window: about 40 checks of a fresh seed alarm in 0.4 % of cases

Measure = Callable[[np.random.Generator, int], np.ndarray]


@dataclass(frozen=True)
class Check:
    """A claim about a rate, and the simulation that counts it.

    claim: lowest and highest true rate that are as claimed. measure: (generator, draws) -> (draws,) truths;
    in an exact check, the share itself. known: the rate of a wrong method, which must fall outside.
    """

    name: str
    claim: tuple[float, float]
    measure: Measure
    draws: int = DRAWS
    known: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What a check found: the rate, and the window [low, high] of rates that agree with the claim."""

    name: str
    rate: float
    draws: int
    low: float
    high: float
    known: float | None
    ok: bool


def window(claim: tuple[float, float], draws: int) -> tuple[int, int]:
    """The hits that the claim allows: binom.ppf(5e-5, R, lowest) to binom.ppf(1 - 5e-5, R, highest)."""
    hits = np.arange(draws + 1)
    least, most = (bdtr(hits, draws, rate) for rate in claim)
    return int(np.searchsorted(least, _TAIL)), int(np.searchsorted(most, 1 - _TAIL))


def judge(check: Check, seed: int) -> Outcome:
    """Simulate one check; its chance comes from the seed and its name alone."""
    found = check.measure(np.random.default_rng([seed, key(check.name)]), check.draws)
    (low, high), rate = check.claim, float(np.mean(found))
    inside = low <= rate <= high
    if check.draws != EXACT:
        if np.shape(found) != (check.draws,):
            raise ValueError(f"{check.name}: one truth per data set; got shape {np.shape(found)}")
        least, most = window(check.claim, check.draws)
        inside = least <= int(np.count_nonzero(found)) <= most
        low, high = least / check.draws, most / check.draws
    ok = inside if check.known is None else not inside
    return Outcome(check.name, rate, check.draws, low, high, check.known, bool(ok))


def run(checks: Iterable[Check], seed: int) -> list[Outcome]:
    """Every check in turn."""
    return [judge(check, seed) for check in checks]
