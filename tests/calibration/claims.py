"""One claim of the statistics: simulated, counted, and held against the window of chance."""

from collections.abc import Callable
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
ALPHA: Final = 0.05
AT_95: Final = (0.95, 0.95)
NEAR_95: Final = (0.94, 0.96)  # for methods that are close, not exact
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
    """What a check counted: the rate, and the window [low, high] of rates that agree with the claim."""

    name: str
    rate: float
    draws: int
    low: float
    high: float
    known: float | None
    ok: bool


def window(claim, draws):
    """The hits that the claim allows: binom.ppf(5e-5, R, lowest) to binom.ppf(1 - 5e-5, R, highest)."""
    hits = np.arange(draws + 1)
    least, most = (bdtr(hits, draws, rate) for rate in claim)
    return int(np.searchsorted(least, _TAIL)), int(np.searchsorted(most, 1 - _TAIL))


def judge(check, seed):
    """Simulate one check; its chance comes from the seed and its name alone."""
    truths = check.measure(np.random.default_rng([seed, key(check.name)]), check.draws)
    (low, high), rate = check.claim, float(np.mean(truths))
    inside = low <= rate <= high
    if check.draws != EXACT:
        if np.shape(truths) != (check.draws,):
            raise ValueError(f"{check.name}: one truth per data set; got shape {np.shape(truths)}")
        least, most = window(check.claim, check.draws)
        inside = least <= int(np.count_nonzero(truths)) <= most
        low, high = least / check.draws, most / check.draws
    ok = inside if check.known is None else not inside
    return Outcome(check.name, rate, check.draws, low, high, check.known, bool(ok))


def line(outcome, width=0):
    """One check as a person reads it: its rate, the window, and whether it is as it must be."""
    kind = "check" if outcome.known is None else "wrong"
    how = "exact" if not outcome.draws else f"of {outcome.draws}"
    span = f"{_rate(outcome.low)} to {_rate(outcome.high)}"
    if outcome.known is None:
        word = "ok" if outcome.ok else "FAILED: outside"
    else:
        word = f"caught (known {_rate(outcome.known, 2)})" if outcome.ok else "FAILED: not caught"
    return f"{kind}    {outcome.name:<{width}}  {_rate(outcome.rate)} {how:<7}  claim {span}  {word}"


def covers(interval, truth):
    """Whether an interval holds the truth."""
    return interval.low <= truth <= interval.high


def misses(interval):
    """Whether an interval excludes 0."""
    return interval.low > 0 or interval.high < 0


def of_rows(function, *tables):
    """(draws,) values of a function of one row of each table."""
    return np.array([function(*rows) for rows in zip(*tables, strict=True)])


def _rate(share, digits=4):
    return f"{share:.{digits}f}".removeprefix("0")
