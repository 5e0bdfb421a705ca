"""Tests that count arrangements: sign flips of pairs, splits of two samples."""

from __future__ import annotations

import math
from itertools import combinations
from typing import NamedTuple

import numpy as np

from fairtrial.stats.inputs import Groups, Random, Values, generator, joined, sample
from fairtrial.stats.records import ExactTest
from fairtrial.stats.rules import check_share

MOST_PAIRS = 20  # 2^20 sign vectors are still counted one by one
_SPLITS = 100_000
_RESAMPLES = 99_999
_BLOCK = 2**20  # numbers held at a time while drawing
_SLACK = 1e-12  # relative to the inputs, so that ties survive rounding


class _Count(NamedTuple):
    """Arrangements that reach the observed difference, of those looked at."""

    hits: int
    draws: int
    smallest_p: float
    exact: bool


def sign_flip_p(
    d: Values,
    *,
    rng: Random | None = None,
    alpha: float = 0.05,
    groups: Groups | None = None,
    unit: str = "seed",
    scope: str = "this test set",
) -> ExactTest:
    """Two-sided sign-flip test: the share of the 2^n sign vectors whose |mean| reaches the observed one.

    d: (n,) paired differences or seed -> difference; zeros stay in n. Beyond n = 20, 99 999 random sign
    vectors with (1 + hits) / (1 + draws), and rng is required. Warns when no outcome at this n can reach
    alpha. groups: a label per difference; the signs of whole groups are flipped, on their means.
    """
    check_share(alpha, "alpha")
    values = np.sort(joined({"d": d}, groups)[0])
    n = len(values)
    if n <= MOST_PAIRS:
        count = _Count(int(flip_hits(values)), 2 ** (n - 1), smallest_p=2 / 2**n, exact=True)
    else:
        least = float(_reached(values))
        chance = generator(rng, f"d has more than {MOST_PAIRS} values, so signs are drawn at random")
        count = _monte_carlo(_flip_hits(values, least, chance))
    return _test("sign flip", float(values.mean()), n, count, alpha, unit, scope)


def flip_hits(values: np.ndarray) -> np.ndarray:
    """How many of the 2^(n-1) sign vectors of `flipped_sums` reach the observed |sum|: (n, ...) -> (...)."""
    return np.count_nonzero(np.abs(flipped_sums(values)) >= _reached(values), axis=0)


def _reached(values: np.ndarray) -> np.ndarray:
    """The observed |sum| along the first axis, less the slack that lets ties survive rounding."""
    return np.abs(values.sum(axis=0)) - _SLACK * np.abs(values).sum(axis=0)


def flipped_sums(values: np.ndarray) -> np.ndarray:
    """Σ ± values over the 2^(n-1) sign vectors with the first sign fixed; the others only mirror them.

    values: (n, ...) -> (2^(n-1), ...).
    """
    sums = values[:1]
    for row in values[1:]:
        sums = np.concatenate([sums + row, sums - row])
    return sums


def random_signs(rng: np.random.Generator, rows: int, n: int) -> np.ndarray:
    """(rows, n) independent signs, -1.0 or 1.0."""
    return rng.integers(0, 2, size=(rows, n), dtype=np.int8) * 2.0 - 1.0


def _flip_hits(values: np.ndarray, least: float, rng: np.random.Generator) -> int:
    hits, left = 0, _RESAMPLES
    while left:
        rows = min(left, max(1, _BLOCK // len(values)))
        hits += int(np.count_nonzero(np.abs(random_signs(rng, rows, len(values)) @ values) >= least))
        left -= rows
    return hits


def permutation_p(
    a: Values,
    b: Values,
    *,
    rng: Random | None = None,
    alpha: float = 0.05,
    unit: str = "seed",
    scope: str = "this test set",
) -> ExactTest:
    """Two-sided permutation test: the share of splits whose |mean difference| reaches the observed one.

    a: (n_a,) and b: (n_b,) independent values. All C(n_a + n_b, n_a) splits up to 100 000 of them; above that
    99 999 random splits with (1 + hits) / (1 + draws), and rng is required. All values equal: p = 1.
    """
    check_share(alpha, "alpha")
    first, second = sample(a, "a"), sample(b, "b")
    n_a, n_b = len(first), len(second)
    pool = np.sort(np.concatenate([first, second]))
    slack = _SLACK * float(np.abs(pool).max())
    centre = float(pool.mean())
    pool = pool - centre
    least = abs(float((first - centre).mean() - (second - centre).mean())) - slack
    splits = math.comb(n_a + n_b, n_a)
    if splits <= _SPLITS:
        rows = np.array(list(combinations(range(n_a + n_b), n_a)))
        hits = _split_hits(pool, pool[rows].sum(axis=1), n_a, least)
        mirrored = 2 if n_a == n_b else 1  # between equal arms each split has its mirror image
        count = _Count(hits, splits, smallest_p=mirrored / splits, exact=True)
    else:
        chance = generator(rng, f"a and b have {splits:.3g} splits, so they are drawn at random")
        count = _monte_carlo(_split_hits(pool, _random_sums(pool, n_a, chance), n_a, least))
    return _test("permutation", float(first.mean() - second.mean()), n_a + n_b, count, alpha, unit, scope)


def _split_hits(pool: np.ndarray, sums: np.ndarray, n_a: int, least: float) -> int:
    """How many splits reach the observed difference; sums: the total of arm a in each split."""
    gaps = sums / n_a - (pool.sum() - sums) / (len(pool) - n_a)
    return int(np.count_nonzero(np.abs(gaps) >= least))


def _random_sums(pool: np.ndarray, n_a: int, rng: np.random.Generator) -> np.ndarray:
    blocks, left = [], _RESAMPLES
    while left:
        rows = min(left, max(1, _BLOCK // len(pool)))
        order = rng.permuted(np.broadcast_to(pool, (rows, len(pool))), axis=1)
        blocks.append(order[:, :n_a].sum(axis=1))
        left -= rows
    return np.concatenate(blocks)


def _monte_carlo(hits: int) -> _Count:
    """The observed arrangement counts as one of the draws, so that p is never 0 and never too small."""
    return _Count(1 + hits, 1 + _RESAMPLES, smallest_p=1 / (1 + _RESAMPLES), exact=False)


def _test(
    method: str, estimate: float, n: int, count: _Count, alpha: float, unit: str, scope: str
) -> ExactTest:
    warnings: tuple[str, ...] = ()
    if count.smallest_p > alpha:
        warnings = (f"cannot reject at n = {n}: the smallest p is {count.smallest_p:.4g}, above {alpha:g}",)
    return ExactTest(
        estimate=estimate,
        low=-math.inf,
        high=math.inf,
        level=1 - alpha,
        method=f"{method}, {'all arrangements' if count.exact else 'Monte Carlo'}",
        n=n,
        unit=unit,
        scope=scope,
        warnings=warnings,
        p=count.hits / count.draws,
        smallest_p=count.smallest_p,
        exact=count.exact,
        resamples=None if count.exact else _RESAMPLES,
    )
