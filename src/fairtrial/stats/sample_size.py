"""How many seeds: power, the seeds it takes, the effect one can see.

Without scipy, so that `plan` answers at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from fairtrial.stats.noncentral import two_sided_power
from fairtrial.stats.rules import check_count, check_share

_MOST = 1_000_000


def power(n: int, effect: float, sd: float = 1.0, *, alpha: float = 0.05, paired: bool = True) -> float:
    """The probability that a two-sided t test at alpha rejects, both tails counted.

    n: pairs, with sd that of the paired differences; or, paired=False, runs per arm with sd that of one arm.
    Noncentral t: nc = (effect / sd)·√n with n-1 degrees of freedom; unpaired (effect / sd)·√(n/2) with 2n-2.
    n < 2 or sd <= 0 raises ValueError. Effect 0 gives alpha.
    """
    n = check_count(n, "n", least=2)
    _check(effect, sd, alpha)
    return _power(n, abs(effect) / sd, alpha, paired)


def seeds_needed(
    effect: float | None = None,
    sd: float = 1.0,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    paired: bool = True,
    gamma: float | None = None,
) -> int:
    """The smallest n >= 2 (pairs, or runs per arm) whose t test has this power.

    gamma instead of effect: Noether's n for P(A > B) = gamma against 1/2,
    (z(1-alpha) + z(power))² / (6·(gamma - 1/2)²) rounded up, alpha one-sided (Bouthillier et al. 2021).
    Effect 0, sd <= 0, or more than a million seeds raises ValueError.
    """
    if (effect is None) == (gamma is None):
        raise ValueError("pass either effect or gamma")
    _check(effect or 0.0, sd, alpha, power)
    if gamma is not None:
        return _noether(gamma, power, alpha)
    if not effect:
        raise ValueError("effect is not 0: no number of seeds detects nothing")
    size = abs(effect) / sd
    if _power(_MOST, size, alpha, paired) < power:
        raise ValueError(
            f"effect {effect:g} at sd {sd:g} needs more than {_MOST} seeds for power {power:g}: "
            "ask for a larger effect"
        )
    return _first(lambda n: _power(n, size, alpha, paired) >= power)


def minimal_detectable_effect(
    n: int, sd: float = 1.0, *, power: float = 0.8, alpha: float = 0.05, paired: bool = True
) -> float:
    """The effect that a t test on n pairs (or n runs per arm) finds with this power, in the unit of sd.

    n < 2, sd <= 0 or power <= alpha raises ValueError.
    """
    n = check_count(n, "n", least=2)
    _check(0.0, sd, alpha, power)
    return sd * _root(lambda size: _power(n, size, alpha, paired), power)


def _check(effect: float, sd: float, alpha: float, power: float | None = None) -> None:
    if not math.isfinite(effect):
        raise ValueError(f"effect is finite; got {effect!r}")
    if not 0 < sd < math.inf:
        raise ValueError(f"sd is above 0; got {sd!r}")
    check_share(alpha, "alpha")
    if power is not None and not alpha < power < 1:
        raise ValueError(f"power lies strictly between alpha = {alpha:g} and 1; got {power!r}")


def _power(n: int, size: float, alpha: float, paired: bool) -> float:
    df, nc = (n - 1, size * math.sqrt(n)) if paired else (2 * n - 2, size * math.sqrt(n / 2))
    return two_sided_power(alpha, df, nc)


def _noether(gamma: float, power: float, alpha: float) -> int:
    from statistics import NormalDist  # 10 ms that the other plans need not wait for

    if not 0 < gamma < 1 or gamma == 0.5:
        raise ValueError(f"gamma lies in (0, 1) and is not 1/2; got {gamma!r}")
    z = NormalDist().inv_cdf
    return max(2, math.ceil((z(1 - alpha) + z(power)) ** 2 / (6 * (gamma - 0.5) ** 2)))


def _first(enough: Callable[[int], bool]) -> int:
    """The smallest n >= 2 that is enough, by doubling, then halving."""
    high = 2
    while not enough(high):
        high *= 2
    low = high // 2  # not enough, or below 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _root(f: Callable[[float], float], target: float) -> float:
    """Where the rising function f reaches the target: a growing bracket, then bisection."""
    low, high = 0.0, 1.0
    while f(high) < target:
        low, high = high, 2 * high
    while high - low > 1e-13 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) < target else (low, middle)
    return (low + high) / 2
