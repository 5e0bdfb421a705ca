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
_DRAWN = 2 * 10**7  # resampled trials of a study: of more than 2000, by fewer resamples
_BLOCK = 2**20  # weights held at a time


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
    trials would have given on these images. 9999 resamples; fewer, as `method` says, where K is above 2000.
    Raises ValueError for studies of unequal length.
    """
    check_share(level, "level")
    scores = [np.sort(sample(x, "studies")) for x in studies]
    lengths = {len(each) for each in scores}
    if len(lengths) != 1:
        raise ValueError(f"every tuning study has the same number of trials; got {sorted(lengths)}")
    k = np.arange(1, lengths.pop() + 1)
    low, high = np.full(len(k), -math.inf), np.full(len(k), math.inf)
    inside, method = k <= len(k) / 2, "expected best of k, unbiased, mean over tuning studies"
    warnings: tuple[str, ...] = (f"no interval above k = {len(k) // 2}, half the trials of a study",)
    if rng is None or not inside.any():
        warnings = ("no interval: " + ("no rng was passed" if rng is None else "k is above n/2"),)
    else:
        chance = generator(rng, "trials are resampled")
        resamples = min(_RESAMPLES, max(199, _DRAWN // len(k)))
        method += f", band of {resamples} resamples" if resamples < _RESAMPLES else ""
        drawn = (_resampled(each, resamples, chance) for each in scores)
        curves = sum(_best([rows], k[inside])[0] for rows in drawn) / len(scores)
        low[inside], high[inside] = np.quantile(curves, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return ExpectedBest(
        method=method,
        n=len(scores),
        unit=unit,
        scope=scope,
        warnings=warnings,
        level=level,
        k=k,
        estimate=np.mean(_best(scores, k), axis=0),
        low=low,
        high=high,
    )


def expected_choice(criterion: Values, scores: Values) -> np.ndarray:
    """Return (K,): the expected score of the one of k = 1..K random trials with the least criterion.

    criterion: (K,) lower is better, inf of a trial that failed; of equal ones the earlier trial is chosen.
    scores: (K,) finite, of the same trials, from other runs than the criterion: what wins by luck in the one
    is not lucky in the other. Exact, over all subsets of k. Raises ValueError for unequal lengths.
    """
    order = np.argsort(np.asarray(criterion, dtype=float), kind="stable")[::-1]
    values = sample(scores, "scores")
    if len(order) != len(values):
        raise ValueError(f"each trial has a criterion and a score; got {len(order)} and {len(values)}")
    return _best([values[order]], np.arange(1, len(values) + 1))[0]


def _resampled(scores: np.ndarray, resamples: int, chance: np.random.Generator) -> np.ndarray:
    """(n,) sorted scores -> (resamples, n): drawn with replacement, each row sorted."""
    n = len(scores)
    drawn, rows = np.empty((resamples, n)), max(1, _BLOCK // n)
    for start in range(0, resamples, rows):
        part = drawn[start : start + rows]
        at = chance.integers(0, n, part.shape) + n * np.arange(len(part))[:, None]
        # how often each score is drawn in each row: the rows come out sorted
        times = np.bincount(at.ravel(), minlength=part.size)
        part[:] = np.repeat(np.tile(scores, len(part)), times).reshape(part.shape)
    return drawn


def _best(samples: Sequence[np.ndarray], k: np.ndarray) -> list[np.ndarray]:
    """(..., n) sorted scores each -> (..., len(k)) expected best of k = 1..len(k).

    All weights at once where they fit into a block, else some k at a time, of scores that can be their best.
    """
    n, parts, start = samples[0].shape[-1], [], 0
    logs = gammaln(np.arange(1, n + 2))  # logs[i]: log i!
    while start < len(k):
        # The best of k lies among the worst m with a chance below (m/n)^k: e^-40 is less than rounding.
        first = int(n * math.exp(-40 / (start + 1))) if start else 0
        stop = min(len(k), start + max(1, _BLOCK // (n - first)))
        weights = _weights(k[start:stop], np.arange(first + 1, n + 1)[:, None], logs)
        parts.append([scores[..., first:] @ weights for scores in samples])
        start = stop
    return [np.concatenate(each, axis=-1) for each in zip(*parts, strict=True)]


def _weights(k: np.ndarray, i: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """(len(i), len(k)): the probability C(i-1, k-1) / C(n, k) that the i-th worst of n is the best of k."""
    n = int(i[-1, 0])
    # By logarithms, and 0 for i < k.
    chosen = logs[i - 1] - logs[k - 1] - logs[np.maximum(i - k, 0)]
    total = logs[n] - logs[k] - logs[n - k]
    return np.where(i >= k, np.exp(np.minimum(chosen - total, 0)), 0.0)
