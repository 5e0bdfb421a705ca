"""How many seeds: power, the seeds it takes, the effect one can see.

Without scipy, so that `plan` answers at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from fairtrial.stats.noncentral import two_sided_power
from fairtrial.stats.records import MoreSeeds
from fairtrial.stats.rules import Margin, check_count, check_share, limits
from fairtrial.study.limits import MIN_UNITS

_MOST = 1_000_000


def power(n: int, effect: float, sd: float = 1.0, *, alpha: float = 0.05, paired: bool = True) -> float:
    """Return the probability that a two-sided t test at alpha rejects, both tails counted.

    n: pairs, with sd that of the paired differences; or, paired=False, runs per arm with sd that of one arm.
    Noncentral t: nc = (effect / sd)·√n with n-1 degrees of freedom; unpaired (effect / sd)·√(n/2) with 2n-2.
    n < 2 or sd <= 0 raises ValueError. Effect 0 gives alpha.
    """
    n = check_count(n, "n", least=2)
    _check(effect, sd, alpha)
    return _power(n, abs(effect) / sd, alpha, paired)


def seeds_needed(
    effect: float,
    sd: float = 1.0,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    paired: bool = True,
) -> int:
    """Return the smallest n >= 2 (pairs, or runs per arm) whose t test has this power.

    Effect 0, sd <= 0, or more than a million seeds raises ValueError.
    """
    _check(effect, sd, alpha, power)
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
    """Return the effect that a t test on n pairs (or runs per arm) finds with this power, in sd's unit.

    n < 2, sd <= 0 or power <= alpha raises ValueError.
    """
    n = check_count(n, "n", least=2)
    _check(0.0, sd, alpha, power)
    return sd * _root(lambda size: _power(n, size, alpha, paired), power)


def more_seeds(
    n0: int,
    sd: float,
    effect: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    sd_confidence: float = 0.8,
    cost_s: float | None = None,
    unit: str = "seed",
    scope: str = "this test set",
) -> MoreSeeds:
    """Return the seeds for `effect` after a pilot of n0 pairs whose differences have this sd, twice.

    Plug-in takes sd as it is; conservative takes its upper limit sd·√(v / χ²(1 - sd_confidence, v)), v = n0 -
    1. more_* is minus n0 and never negative. cost_s: device-seconds of one block of arms, for plugin_s and
    conservative_s. Fewer than MIN_UNITS pairs raise ValueError. Added seeds are analysed at a declared look,
    not by testing again.
    """
    return _more(
        n0, sd, lambda sd: seeds_needed(effect, sd, power=power, alpha=alpha),
        f"paired t, power {power:g}", sd_confidence, cost_s, unit, scope,
    )  # fmt: skip


def more_to_exclude(
    n0: int,
    sd: float,
    estimate: float,
    margin: Margin,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    sd_confidence: float = 0.8,
    cost_s: float | None = None,
    unit: str = "seed",
    scope: str = "this test set",
) -> MoreSeeds:
    """Return the seeds after which equivalence is shown with this power if the truth is `estimate`, twice.

    As `more_seeds`, for two one-sided tests at alpha. Their power is taken as the sum of both powers minus 1,
    which is never too much. An estimate outside the margin raises ValueError: no number of seeds excludes it.
    """
    low, high = limits(margin)
    if not low < estimate < high:
        raise ValueError(f"estimate lies inside the margin [{low:g}, {high:g}]; got {estimate:g}")

    def needed(sd: float) -> int:
        sizes = (estimate - low) / sd, (high - estimate) / sd
        return _least(lambda n: sum(_power(n, size, 2 * alpha, True) for size in sizes) - 1 >= power)

    method = f"two one-sided paired t tests, power {power:g}"
    return _more(n0, sd, needed, method, sd_confidence, cost_s, unit, scope)


def _more(
    n0: int,
    sd: float,
    needed: Callable[[float], int],
    method: str,
    sd_confidence: float,
    cost_s: float | None,
    unit: str,
    scope: str,
) -> MoreSeeds:
    """Return what a pilot asks for, from `needed`: sd -> n."""
    from scipy.special import chdtri

    n0 = check_count(n0, "n0", least=MIN_UNITS)
    check_share(sd_confidence, "sd_confidence")
    df = n0 - 1
    inflation = math.sqrt(df / float(chdtri(df, sd_confidence)))  # chdtri takes the upper tail
    plugin, conservative = needed(sd), needed(sd * inflation)
    more = max(0, plugin - n0), max(0, conservative - n0)
    return MoreSeeds(
        method=f"{method}, sd limit {100 * sd_confidence:g} %",
        n=n0,
        unit=unit,
        scope=scope,
        n_plugin=plugin,
        n_conservative=conservative,
        more_plugin=more[0],
        more_conservative=more[1],
        inflation=inflation,
        sd_upper=sd * inflation,
        plugin_s=None if cost_s is None else more[0] * cost_s,
        conservative_s=None if cost_s is None else more[1] * cost_s,
    )


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


def _least(enough: Callable[[int], bool]) -> int:
    """Return the smallest n >= 2 that is enough; more than a million raises ValueError."""
    if not enough(_MOST):
        raise ValueError(f"more than {_MOST} seeds are needed: ask for a wider margin")
    return _first(enough)


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
