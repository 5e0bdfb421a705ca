"""What tuning buys: the expected best of k random trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import gammaln

from fairtrial.stats.array_records import ExpectedBest
from fairtrial.stats.inputs import Random, Values, generator, sample
from fairtrial.stats.rules import check_count, check_share

_RESAMPLES = 9999


def expected_best(
    x: Values,
    k: int | None = None,
    *,
    method: str = "unbiased",
    higher_is_better: bool = True,
    worst: float | None = None,
    sampler: str = "random",
    level: float = 0.95,
    rng: Random | None = None,
    unit: str = "trial",
    scope: str = "this test set",
) -> ExpectedBest:
    """The expected best of k of n independent random trials, for k = 1..n or for one k.

    x: (n,) scores; a failed trial is NaN and takes the declared `worst` value, without which it raises. With
    x sorted from worst to best, "unbiased" is Σ x_(i)·C(i-1, k-1)/C(n, k) (Tang et al. 2020) and
    "with_replacement" Σ x_(i)·[(i/n)^k - ((i-1)/n)^k] (Dodge et al. 2019; biased towards the worse). low and
    high: percentile band from resampled trials when rng is given, for k <= n/2; infinite elsewhere. k > n
    raises; sampler="tpe" is refused, since its trials are not independent.
    """
    check_share(level, "level")
    if sampler != "random":
        raise ValueError(
            f"trials of sampler {sampler!r} are not independent: draw the running best over studies"
        )
    scores = np.sort(sample(_filled(x, worst), "x"))
    if not higher_is_better:
        scores = scores[::-1]
    n = len(scores)
    wanted = np.arange(1, n + 1) if k is None else np.array([check_count(k, "k", least=1)])
    if wanted.max() > n:
        raise ValueError(f"k is at most the number of trials, {n}; got {k}")
    weights = _weights(n, wanted, method)
    low, high, warnings = _band(scores, weights, wanted, level, rng, higher_is_better)
    curve = scores @ weights
    return ExpectedBest(
        method=f"expected best of k, {method.replace('_', ' ')}",
        n=n,
        unit=unit,
        scope=scope,
        warnings=warnings,
        level=level,
        k=wanted if k is None else int(wanted[0]),
        estimate=curve if k is None else float(curve[0]),
        low=low if k is None else float(low[0]),
        high=high if k is None else float(high[0]),
    )


def expected_best_over(
    studies: Sequence[Values],
    *,
    worst: float | None = None,
    level: float = 0.95,
    rng: Random | None = None,
    unit: str = "tuning study",
    scope: str = "these tuning studies",
) -> ExpectedBest:
    """The expected best of k = 1..n random trials, the mean over independent tuning studies of n each.

    studies: (n,) scores of each, higher is better; NaN takes the declared `worst` value. Each study has its
    own images, so that the best is taken within a study and averaged over them; pooled trials would choose
    the easiest images too. low and high: percentile band from trials resampled within each study, for
    k <= n/2; infinite elsewhere. It says what other trials would have given on these images. `n` counts the
    studies. Raises ValueError for studies of unequal length. Source: `expected_best`, which this is for one
    study.
    """
    check_share(level, "level")
    scores = [np.sort(sample(_filled(x, worst), "studies")) for x in studies]
    lengths = {len(each) for each in scores}
    if len(lengths) != 1:
        raise ValueError(f"every tuning study has the same number of trials; got {sorted(lengths)}")
    k = np.arange(1, lengths.pop() + 1)
    weights = _weights(len(k), k, "unbiased")
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


def _filled(x: Values, worst: float | None) -> Values:
    values = np.array(list(x.values()) if isinstance(x, Mapping) else x, dtype=float)
    if not np.isnan(values).any():
        return values
    if worst is None:
        raise ValueError("x holds failed trials (NaN): declare the `worst` value that they take")
    return np.where(np.isnan(values), worst, values)


def _weights(n: int, k: np.ndarray, method: str) -> np.ndarray:
    """(n, len(k)): the probability that the i-th worst trial is the best of k."""
    i = np.arange(1, n + 1)[:, None]
    if method == "with_replacement":
        return (i / n) ** k - ((i - 1) / n) ** k
    if method != "unbiased":
        raise ValueError(f"unknown method {method!r}; known: unbiased, with_replacement")
    # C(i-1, k-1) / C(n, k) by logarithms, 0 for i < k
    inside = np.maximum(i - k, 0)
    chosen = gammaln(i) - gammaln(k) - gammaln(inside + 1)
    total = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return np.where(i >= k, np.exp(np.minimum(chosen - total, 0)), 0.0)


def _band(
    scores: np.ndarray,
    weights: np.ndarray,
    k: np.ndarray,
    level: float,
    rng: Random | None,
    higher_is_better: bool,
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    low, high = np.full(len(k), -math.inf), np.full(len(k), math.inf)
    inside = k <= len(scores) / 2
    if rng is None or not inside.any():
        why = "no rng was passed" if rng is None else "k is above n/2"
        return low, high, (f"no interval: {why}",)
    chance = generator(rng, "trials are resampled")
    rows = np.sort(chance.choice(scores, size=(_RESAMPLES, len(scores))), axis=1)
    curves = (rows if higher_is_better else rows[:, ::-1]) @ weights[:, inside]
    low[inside], high[inside] = np.quantile(curves, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high, () if inside.all() else (f"no interval above k = {len(scores) // 2}, half the trials",)
