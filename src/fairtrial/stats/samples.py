"""Intervals of one sample: a mean, a trimmed mean, a standard deviation, a proportion."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping

import numpy as np
from scipy.special import betaincinv, chdtri

from fairtrial.stats.inputs import Groups, Values, constant, joined, sample
from fairtrial.stats.records import MeanInterval, Proportion
from fairtrial.stats.rules import check_count, check_share, no_interval
from fairtrial.stats.student import fit_mean, fit_t

SHARE = 0.2  # of a trimmed mean, on each side, as Wilcox advises


def mean_interval(
    x: Values,
    level: float = 0.95,
    *,
    groups: Groups | None = None,
    unit: str = "seed",
    scope: str = "this test set",
) -> MeanInterval:
    """Return Student's interval of a mean: m ± t(level, n-1) · s / √n.

    x: seed -> value, or (n,) values. groups: a label per value; values are averaged inside each label first,
    and n is the number of labels. Too few units or zero variance: no interval, and a warning.
    """
    check_share(level, "level")
    (values,) = joined({"x": x}, groups)
    method = "Student t" + (" of group means" if groups is not None else "")
    return MeanInterval(**fit_mean(values, level).mean(), method=method, unit=unit, scope=scope)


def trimmed_interval(
    x: Values, level: float = 0.95, *, share: float = SHARE, unit: str = "seed", scope: str = "this test set"
) -> MeanInterval:
    """Return the interval of the mean without the lowest and the highest g = int(share · n) values.

    se = s_w · √((n-1) / (h(h-1))) for the h = n - 2g that are kept, where s_w is the standard deviation once
    the others are set to the nearest one kept; t with h - 1 degrees of freedom. g = 0 is Student's interval.
    Too few are kept, or zero variance: no interval, and a warning. Source: Yuen (1974).
    """
    check_share(level, "level")
    if not 0 <= share < 0.5:
        raise ValueError(f"share lies in [0, 0.5); got {share!r}")
    values = np.sort(sample(x, "x"))
    n = len(values)
    g = int(share * n)
    kept = values[g : n - g]
    sd = float(np.clip(values, kept[0], kept[-1]).std(ddof=1)) if n > 1 else math.inf
    df = len(kept) - 1
    se = sd * math.sqrt((n - 1) / (len(kept) * df)) if df else math.inf
    warning = no_interval(len(kept), flat=constant(kept, values))
    fit = fit_t(float(kept.mean()), se, df, level, n=n, sd=sd, warning=warning)
    return MeanInterval(**fit.mean(), method=f"t of the mean trimmed by {share:g}", unit=unit, scope=scope)


def sd_interval(
    values: Mapping[int, float],
    level: float = 0.95,
    *,
    groups: Mapping[int, Hashable] | None = None,
    unit: str = "seed",
    scope: str = "this test set",
) -> MeanInterval:
    """Return the chi-squared interval of a standard deviation: s·√(v/χ²(1-α/2, v)) .. s·√(v/χ²(α/2, v)).

    values: unit -> value. groups: unit -> its group; s then pools the spread within groups, and v = n minus
    the number of groups. `estimate` and `sd` are s, `se` is s/√(2v). v < 2 or no spread: no interval.
    STATISTICS 3; the values are taken as normal.
    """
    check_share(level, "level")
    members: dict[Hashable, list[float]] = {}
    for key, value in values.items():
        members.setdefault(None if groups is None else groups[key], []).append(float(value))
    v = len(values) - len(members)
    flat = all(constant(np.asarray(each)) for each in members.values())
    squares = sum(float(np.sum((np.asarray(each) - np.mean(each)) ** 2)) for each in members.values())
    s = math.sqrt(squares / v) if v > 0 and not flat else 0.0 if v > 0 else math.inf
    low, high = -math.inf, math.inf
    warning = no_interval(v + 1, flat=flat)
    if not warning:
        tail = (1 - level) / 2
        low, high = (s * math.sqrt(v / chdtri(v, p)) for p in (tail, 1 - tail))
    return MeanInterval(
        estimate=s,
        low=low,
        high=high,
        level=level,
        sd=s,
        se=s / math.sqrt(2 * v) if v > 0 else math.inf,
        df=v,
        method="chi-squared" + ("" if groups is None else ", within groups"),
        n=len(values),
        unit=unit,
        scope=scope,
        warnings=(warning,) if warning else (),
    )


def clopper_pearson(
    k: int, n: int, level: float = 0.95, *, unit: str = "seed", scope: str = "this test set"
) -> Proportion:
    """Return the exact interval of a proportion k / n (Clopper & Pearson 1934); valid from n = 1.

    Limits are beta quantiles, two-sided; low is exactly 0 at k = 0 and high exactly 1 at k = n. k outside
    0..n or n = 0 raises ValueError.
    """
    check_share(level, "level")
    k, n = check_count(k, "k", least=0), check_count(n, "n", least=1)
    if k > n:
        raise ValueError(f"k lies in 0..n; got k = {k}, n = {n}")
    tail, share = (1 - level) / 2, k / n
    return Proportion(
        estimate=share,
        low=float(betaincinv(k, n - k + 1, tail)) if k else 0.0,
        high=float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0,
        level=level,
        method="Clopper-Pearson",
        n=n,
        unit=unit,
        scope=scope,
        k=k,
        se=math.sqrt(share * (1 - share) / n),
    )
