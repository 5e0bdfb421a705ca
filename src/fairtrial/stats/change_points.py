"""Where the level of a series changes: binary segmentation by a permutation test on ranks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from fairtrial.stats.inputs import Random, Values, generator, sample
from fairtrial.stats.rules import check_count, check_share

_BLOCK = 2**20  # ranks held at a time


@dataclass(frozen=True)
class Change:
    """From index `at` on the series has another level; p is that of the segment low..high that was split."""

    at: int
    p: float
    before: float
    after: float
    low: int
    high: int


def change_points(
    x: Values,
    *,
    alpha: float = 0.01,
    least: int = 5,
    resamples: int = 999,
    rng: Random | None = None,
) -> list[Change]:
    """Return the changes of level of a series in order of time, by index.

    A segment is split where the rank CUSUM, max over k of |R_k| / sqrt(k (n-k)), is largest, if at most a
    share `alpha` of random orders of the same values reach as much; then both parts are searched in turn. So
    a series without a change gives one with chance alpha, whatever the law of its values, as long as their
    order means nothing: a slow drift or a tide in the machine is a change too. before, after: the medians of
    the neighbouring segments. least: values on either side of a change.
    """
    check_share(alpha, "alpha")
    least, resamples = check_count(least, "least", least=2), check_count(resamples, "resamples", least=19)
    values = sample(x, "x")
    draws = generator(rng, "the order is permuted at random")
    splits = sorted(_splits(values, 0, len(values), alpha, least, resamples, draws))
    edges = [0, *(at for at, *_ in splits), len(values)]
    return [
        Change(at, p, _median(values, edges[i], at), _median(values, at, edges[i + 2]), low, high)
        for i, (at, p, low, high) in enumerate(splits)
    ]


def _splits(
    values: np.ndarray,
    low: int,
    high: int,
    alpha: float,
    least: int,
    resamples: int,
    rng: np.random.Generator,
) -> Iterator[tuple[int, float, int, int]]:
    part = values[low:high]
    if len(part) < 2 * least:
        return
    ranks = rankdata(part) - (len(part) + 1) / 2
    curve = _cusum(ranks[None], least)[0]
    p = (1 + _reached(ranks, curve.max() - 1e-9, least, resamples, rng)) / (1 + resamples)
    if p > alpha:
        return
    at = low + least + int(curve.argmax())
    yield at, float(p), low, high
    yield from _splits(values, low, at, alpha, least, resamples, rng)
    yield from _splits(values, at, high, alpha, least, resamples, rng)


def _reached(ranks: np.ndarray, height: float, least: int, resamples: int, rng: np.random.Generator) -> int:
    """How many random orders of the ranks have a CUSUM of this height; as many at a time as memory allows."""
    hits, left = 0, resamples
    while left:
        rows = min(left, max(1, _BLOCK // len(ranks)))
        orders = rng.permuted(np.tile(ranks, (rows, 1)), axis=1)
        hits += int(np.count_nonzero(_cusum(orders, least).max(axis=1) >= height))
        left -= rows
    return hits


def _cusum(ranks: np.ndarray, least: int) -> np.ndarray:
    """Per row, for each split k = least .. n - least: the standardized sum of the first k ranks."""
    n = ranks.shape[1]
    k = np.arange(least, n - least + 1)
    return np.abs(np.cumsum(ranks, axis=1)[:, k - 1]) / np.sqrt(k * (n - k))


def _median(values: np.ndarray, low: int, high: int) -> float:
    return float(np.median(values[low:high]))
