"""Many paired contrasts that share their seeds: the step-down max |t| of Westfall and Young."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fairtrial.stats.array_records import WestfallYoung
from fairtrial.stats.exact import MOST_PAIRS, flipped_sums, random_signs
from fairtrial.stats.inputs import Random, Values, generator, joined
from fairtrial.stats.rules import check_share

_RESAMPLES = 9999
_SLACK = 1e-12


def westfall_young(
    diffs: Mapping[str, Values] | np.ndarray,
    *,
    rng: Random | None = None,
    alpha: float = 0.05,
    unit: str = "seed",
    scope: str = "this family",
) -> WestfallYoung:
    """Step-down p values of m paired contrasts, from sign flips of whole seeds (Westfall & Young 1993).

    diffs: (n seeds, m contrasts), rows share seeds; or contrast -> values joined on their seeds. In
    descending |t|, a contrast's share of flips whose largest |t| over the contrasts not yet passed reaches
    its own, made monotone. All 2^n flips up to n = 20, 9 999 random ones beyond, and rng is then required. A
    column without variance has t = 0 if its mean is 0, else infinite. Arrays in the order of the columns.
    """
    check_share(alpha, "alpha")
    columns = _columns(diffs)
    n = len(columns[0])
    signs = None
    if n > MOST_PAIRS:
        rows = np.lexsort(columns)  # so that the order of the seeds does not matter
        columns = [column[rows] for column in columns]
        signs = random_signs(generator(rng, f"diffs has more than {MOST_PAIRS} seeds"), _RESAMPLES, n)
    observed = np.array([float(_share(column, column.sum(keepdims=True))[0]) for column in columns])
    raw, adjusted, ceiling = np.empty(len(columns)), np.empty(len(columns)), np.zeros(1)
    order = np.argsort(observed, kind="stable")
    for j in order:  # ascending, so that `ceiling` is the maximum over the contrasts still to be tested
        flips = _share(columns[j], flipped_sums(columns[j]) if signs is None else signs @ columns[j])
        ceiling = np.maximum(ceiling, flips)
        raw[j], adjusted[j] = (_p(each, observed[j], exact=signs is None) for each in (flips, ceiling))
    adjusted[order[::-1]] = np.maximum.accumulate(adjusted[order[::-1]])
    smallest = 2 / 2**n if signs is None else 1 / (1 + _RESAMPLES)
    weak = f"cannot reject at n = {n}: the smallest p is {smallest:.4g}, above {alpha:g}"
    return WestfallYoung(
        method=f"Westfall-Young step-down max t, {'all sign flips' if signs is None else 'Monte Carlo'}",
        n=n,
        unit=unit,
        scope=scope,
        warnings=(weak,) if smallest > alpha else (),
        t=_t(observed, n),
        raw_p=raw,
        adjusted_p=adjusted,
        exact=signs is None,
    )


def _columns(diffs: Mapping[str, Values] | np.ndarray) -> list[np.ndarray]:
    if isinstance(diffs, Mapping):
        if not diffs:
            raise ValueError("diffs is empty")
        return joined(diffs)
    table = np.array(diffs, dtype=float)
    if table.ndim != 2 or not table.size:
        raise ValueError(f"diffs is (n seeds, m contrasts); got an array of shape {table.shape}")
    return joined({f"diffs[:, {j}]": column for j, column in enumerate(table.T)})


def _share(column: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """(Σ ± d)² / (n·Σ d²), from 0 to 1: t² = (n-1)·share / (1-share) rises with it, and it stays finite."""
    size = float(np.abs(column).max())
    if size == 0:
        return np.zeros_like(sums)
    scaled = column / size
    return np.minimum(1, (sums / size) ** 2 / (len(column) * float(scaled @ scaled)))


def _t(share: np.ndarray, n: int) -> np.ndarray:
    still = share >= 1 - _SLACK
    return np.where(still, np.inf, np.sqrt((n - 1) * share / np.where(still, 1, 1 - share)))


def _p(shares: np.ndarray, observed: float, *, exact: bool) -> float:
    hits = int(np.count_nonzero(shares >= observed - _SLACK))
    return hits / len(shares) if exact else (1 + hits) / (1 + len(shares))
