"""What tuning buys: the expected best of k random trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from fairtrial.stats.inputs import Random, Values, generator, sample
from fairtrial.stats.records import Record
from fairtrial.stats.rules import check_share

_RESAMPLES = 9999


@dataclass(frozen=True, kw_only=True, eq=False)
class ExpectedBest(Record):
    """The expected best of k trials, arrays over k = 1..K; `n` counts the tuning studies of K trials each."""

    n: int
    level: float
    k: np.ndarray
    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray


def expected_best(
    studies: Sequence[Values],
    *,
    level: float = 0.95,
    rng: Random | None = None,
    unit: str = "tuning study",
    scope: str = "these tuning studies",
) -> ExpectedBest:
    """Return the expected best of k = 1..K random trials, the mean over independent tuning studies.

    studies: (K,) finite scores of each, higher is better. In one study, sorted from worst to best, it is
    Σ x_(i)·C(i-1, k-1)/C(K, k), without bias (Tang et al. 2020). The best is taken within a study and
    averaged over them: pooled trials would choose the easiest images too. low and high: percentile band from
    trials resampled within each study when rng is given, for k <= K/2; infinite elsewhere. It says what other
    trials would have given on these images. Raises ValueError for studies of unequal length.
    """
    check_share(level, "level")
    scores = [np.sort(sample(x, "studies")) for x in studies]
    lengths = {len(each) for each in scores}
    if len(lengths) != 1:
        raise ValueError(f"every tuning study has the same number of trials; got {sorted(lengths)}")
    k = np.arange(1, lengths.pop() + 1)
    weights = _weights(k)
    low, high = np.full(len(k), -math.inf), np.full(len(k), math.inf)
    inside = k <= len(k) / 2
    warnings: tuple[str, ...] = (f"no interval above k = {len(k) // 2}, half the trials of a study",)
    if rng is None or not inside.any():
        warnings = ("no interval: " + ("no rng was passed" if rng is None else "k is above n/2"),)
    else:
        chance = generator(rng, "trials are resampled")
        drawn = [np.sort(chance.choice(each, size=(_RESAMPLES, len(k))), axis=1) for each in scores]
        curves = np.mean([rows @ weights[:, inside] for rows in drawn], axis=0)
        low[inside], high[inside] = np.quantile(curves, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return ExpectedBest(
        method="expected best of k, unbiased, mean over tuning studies",
        n=len(scores),
        unit=unit,
        scope=scope,
        warnings=warnings,
        level=level,
        k=k,
        estimate=np.mean([each @ weights for each in scores], axis=0),
        low=low,
        high=high,
    )


def _weights(k: np.ndarray) -> np.ndarray:
    """(n, n) for k = 1..n: the probability C(i-1, k-1) / C(n, k) that the i-th worst is the best of k."""
    n, i = len(k), k[:, None]
    # By logarithms, and 0 for i < k.
    chosen = gammaln(i) - gammaln(k) - gammaln(np.maximum(i - k, 0) + 1)
    total = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return np.where(i >= k, np.exp(np.minimum(chosen - total, 0)), 0.0)
