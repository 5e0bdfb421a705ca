"""Tests: sign flips counted exactly, two one-sided tests of equivalence, Holm over a family."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fairtrial.stats.inputs import Groups, Random, Values, generator, joined
from fairtrial.stats.records import Equivalence, ExactTest, HolmStep, Record
from fairtrial.stats.rules import Margin, check_share, limits
from fairtrial.stats.student import fit_mean, t_cdf

MOST_PAIRS = 20  # 2^20 sign vectors are still counted one by one
_RESAMPLES = 99_999
_SIGNS = 2 * 10**8  # drawn at most: beyond 2000 values, by fewer sign vectors
_BLOCK = 2**20  # numbers held at a time while drawing
_PRODUCT = 2**15  # and multiplied at a time: for more, a BLAS starts threads that wait for one another
_SLACK = 1e-12  # relative to the inputs, so that ties survive rounding


def sign_flip_p(
    d: Values,
    *,
    rng: Random | None = None,
    alpha: float = 0.05,
    groups: Groups | None = None,
    unit: str = "seed",
    scope: str = "this test set",
) -> ExactTest:
    """Return the two-sided sign-flip test: the share of the 2^n sign vectors whose |mean| reaches ours.

    d: (n,) paired differences or seed -> difference; zeros stay in n. Beyond n = 20, `resamples` random sign
    vectors with (1 + hits) / (1 + draws), and rng is required: 99 999, beyond n = 2000 as many as make 2·10^8
    signs, at least 999. Warns when no outcome at this n can reach alpha. groups: a label per difference; the
    signs of whole groups are flipped, on their means.
    """
    check_share(alpha, "alpha")
    values = np.sort(joined({"d": d}, groups)[0])
    n = len(values)
    least = abs(float(values.sum())) - _SLACK * float(np.abs(values).sum())
    exact = n <= MOST_PAIRS
    if exact:
        hits, draws, smallest = _all_flips(values, least), 2 ** (n - 1), 2 / 2**n
    else:
        chance = generator(rng, f"d has more than {MOST_PAIRS} values, so signs are drawn at random")
        resamples = min(_RESAMPLES, max(999, _SIGNS // n))
        # The observed signs count as one of the draws, so that p is never 0 and never too small.
        hits, draws = 1 + _random_flips(values, least, resamples, chance), 1 + resamples
        smallest = 1 / draws
    warning = f"cannot reject at n = {n}: the smallest p is {smallest:.4g}, above {alpha:g}"
    return ExactTest(
        estimate=float(values.mean()),
        low=-math.inf,
        high=math.inf,
        level=1 - alpha,
        method=f"sign flip, {'all arrangements' if exact else 'Monte Carlo'}",
        n=n,
        unit=unit,
        scope=scope,
        warnings=(warning,) if smallest > alpha else (),
        p=hits / draws,
        smallest_p=smallest,
        exact=exact,
        resamples=None if exact else draws - 1,
    )


def _all_flips(values: np.ndarray, least: float) -> int:
    """How many of the 2^(n-1) sign vectors with the first sign fixed reach it; the others mirror them."""
    sums = values[:1]
    for value in values[1:]:
        sums = np.concatenate([sums + value, sums - value])
    return int(np.count_nonzero(np.abs(sums) >= least))


def _random_flips(values: np.ndarray, least: float, resamples: int, rng: np.random.Generator) -> int:
    hits, left = 0, resamples
    while left:
        rows = min(left, max(1, _BLOCK // len(values)))
        drawn = rng.integers(0, 2, size=(rows, len(values)), dtype=np.int8)
        left -= rows
        step = max(1, _PRODUCT // len(values))
        for first in range(0, rows, step):
            signs = drawn[first : first + step] * 2.0 - 1.0
            hits += int(np.count_nonzero(np.abs(signs @ values) >= least))
    return hits


def tost(
    a: Values,
    b: Values | None = None,
    *,
    margin: Margin,
    alpha: float = 0.05,
    groups: Groups | None = None,
    unit: str = "seed",
    scope: str = "this test set",
) -> Equivalence:
    """Return two one-sided t tests of a mean paired difference against a margin (Schuirmann 1987).

    a, b: the arms, joined as in `paired_interval`; or a alone holds the differences. margin: delta for
    (-delta, delta), or (low, high) around 0, in logs when a and b are logs. t_lower = (d̄ - low)/se is tested
    above and t_upper = (d̄ - high)/se below; p is the larger one. `equivalent`: the 1 - 2·alpha interval lies
    strictly inside. Too few units or zero variance: not equivalent, p = 1, and a warning.
    """
    check_share(alpha, "alpha", below=0.5)
    lower, upper = limits(margin)
    arms = joined({"a": a} if b is None else {"a": a, "b": b}, groups)
    fit = fit_mean(arms[0] if b is None else arms[0] - arms[1], 1 - 2 * alpha, *arms)
    t_lower, t_upper, p_lower, p_upper = 0.0, 0.0, 1.0, 1.0
    if not fit.warnings:
        t_lower, t_upper = (fit.estimate - lower) / fit.se, (fit.estimate - upper) / fit.se
        p_lower, p_upper = t_cdf(-t_lower, fit.df), t_cdf(t_upper, fit.df)
    return Equivalence(
        **fit.interval(),
        method="two one-sided paired t tests" + (" of group means" if groups is not None else ""),
        unit=unit,
        scope=scope,
        margin=(lower, upper),
        alpha=alpha,
        se=fit.se,
        df=fit.df,
        t_lower=t_lower,
        t_upper=t_upper,
        p_lower=p_lower,
        p_upper=p_upper,
        p=max(p_lower, p_upper),
        equivalent=lower < fit.low and fit.high < upper,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Holm(Record):
    """Adjusted p values of a family of n contrasts, arrays in input order.

    step, step_level: at which step each contrast was decided, and 1 - alpha / (n - step + 1).
    """

    n: int
    alpha: float
    p: np.ndarray
    adjusted_p: np.ndarray
    reject: np.ndarray
    step: np.ndarray
    step_level: np.ndarray

    def at(self, index: int) -> HolmStep:
        """Return the row of one contrast, as `verdict` takes it."""
        return HolmStep(
            p=float(self.p[index]),
            adjusted_p=float(self.adjusted_p[index]),
            reject=bool(self.reject[index]),
            step=int(self.step[index]),
            family=self.n,
            step_level=float(self.step_level[index]),
        )


def holm(p: Values, *, alpha: float = 0.05, unit: str = "contrast", scope: str = "this family") -> Holm:
    """Return Holm's step-down method (1979) over m p values; it controls the chance of any false rejection.

    Sorted ascending, adjusted p_(k) = max over j <= k of min(1, (m-j+1) · p_(j)); all arrays come in input
    order. `step_level` is 1 - alpha / (m-k+1) at the step k at which a contrast was tested; contrasts after
    the first failure take the step that failed, so that an interval at `step_level` excludes 0 where `reject`
    is true and only there. m = 0 gives empty arrays; a p outside [0, 1] raises ValueError.
    """
    check_share(alpha, "alpha")
    raw = np.array(list(p.values()) if isinstance(p, Mapping) else p, dtype=float)
    if raw.ndim != 1:
        raise ValueError(f"p is a list of p values; got an array of shape {raw.shape}")
    if bad := np.flatnonzero(~((raw >= 0) & (raw <= 1))).tolist():
        raise ValueError(f"p lies in [0, 1]; got {raw[bad].tolist()} at positions {bad}")
    m = len(raw)
    order = np.argsort(raw, kind="stable")
    climbing = np.maximum.accumulate((m - np.arange(m)) * raw[order]).clip(max=1)
    back = np.argsort(order)
    adjusted = climbing[back]
    step = np.minimum(np.arange(1, m + 1), np.count_nonzero(climbing <= alpha) + 1)[back]
    return Holm(
        method="Holm",
        n=m,
        unit=unit,
        scope=scope,
        alpha=alpha,
        p=raw,
        adjusted_p=adjusted,
        reject=adjusted <= alpha,
        step=step,
        step_level=1 - alpha / (m - step + 1),
    )
