"""The probability that a run of one arm beats a run of the other."""

from __future__ import annotations

import math

import numpy as np

from fairtrial.stats.inputs import Random, Values, generator, sample
from fairtrial.stats.records import Improvement
from fairtrial.stats.rules import check_share

_RESAMPLES = 9999
_LEAST = 5


def probability_of_improvement(
    a: Values,
    b: Values,
    level: float = 0.95,
    *,
    rng: Random | None = None,
    unit: str = "seed",
    scope: str = "this test set",
) -> Improvement:
    """P(A > B) = (#{a > b} + #{a = b}/2) / (n_a·n_b) = U / (n_a·n_b), over all pairs of runs.

    a: (n_a,) and b: (n_b,) values, not joined. The interval is a percentile bootstrap of the runs of each
    arm; it needs rng and n >= 5 in both arms, and there is none where every resample gives the same value
    (arms that do not overlap).
    """
    check_share(level, "level")
    first, second = np.sort(sample(a, "a")), np.sort(sample(b, "b"))
    wins = (first[:, None] > second) + 0.5 * (first[:, None] == second)
    u, fewest = float(wins.sum()), min(len(first), len(second))
    low, high, warnings = -math.inf, math.inf, []
    if rng is None or fewest < _LEAST:
        warnings = [
            "no interval: " + (f"n = {fewest} is below {_LEAST}" if fewest < _LEAST else "no rng was passed")
        ]
    else:
        low, high = _limits(wins, level, generator(rng, "runs are resampled"))
        warnings = ["under-covers at this n"] if fewest < 10 else []
        if low == high:
            low, high = -math.inf, math.inf
            warnings.append("no interval: every resample gives the same value")
    return Improvement(
        estimate=u / wins.size,
        low=low,
        high=high,
        level=level,
        method="share of pairs won, percentile bootstrap of runs"
        if math.isfinite(low)
        else "share of pairs won",
        n=sum(wins.shape),
        unit=unit,
        scope=scope,
        warnings=tuple(warnings),
        U=u,
        resamples=_RESAMPLES if math.isfinite(low) else None,
    )


def _limits(wins: np.ndarray, level: float, rng: np.random.Generator) -> tuple[float, float]:
    n_a, n_b = wins.shape
    times_a = rng.multinomial(n_a, np.full(n_a, 1 / n_a), size=_RESAMPLES)  # how often each run is drawn
    times_b = rng.multinomial(n_b, np.full(n_b, 1 / n_b), size=_RESAMPLES)
    shares = ((times_a @ wins) * times_b).sum(axis=1) / wins.size
    low, high = np.quantile(shares, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
