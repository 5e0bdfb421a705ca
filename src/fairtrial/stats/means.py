"""Student intervals of a mean and of a mean paired difference."""

from __future__ import annotations

import math

import numpy as np

from fairtrial.stats.inputs import Groups, Values, constant, joined
from fairtrial.stats.records import MeanInterval, PairedInterval
from fairtrial.stats.rules import check_share
from fairtrial.stats.scales import on_scale
from fairtrial.stats.student import fit_mean


def mean_interval(
    x: Values,
    level: float = 0.95,
    *,
    groups: Groups | None = None,
    scale: str = "identity",
    n_test: int | None = None,
    unit: str = "seed",
    scope: str = "this test set",
) -> MeanInterval:
    """Student interval of a mean: m ± t(level, n-1) · s / √n.

    x: seed -> value, or (n,) values. groups: a label per value; values are averaged inside each label first,
    and n is the number of labels. scale="logit": t on the logits, limits and estimate transformed back; the
    estimand is then the centre on the logit scale. Fractions of exactly 0 or 1 need n_test there.
    n < 3 or zero variance: no interval, and a warning.
    """
    check_share(level, "level")
    (fractions,) = joined({"x": x}, groups)
    values, warnings = on_scale(fractions, scale, "x", n_test)
    fit = fit_mean(values, level, *_sizes(values, scale))
    estimate, low, high = fit.estimate, fit.low, fit.high
    if scale == "logit":
        estimate = _expit(estimate)
        low, high = (low, high) if fit.warnings else (_expit(low), _expit(high))
    return MeanInterval(
        estimate=estimate,
        low=low,
        high=high,
        level=level,
        method=_method("Student t", scale, groups),
        n=len(values),
        unit=unit,
        scope=scope,
        warnings=fit.warnings + warnings,
        sd=fit.sd,
        se=fit.se,
        df=fit.df,
    )


def paired_interval(
    a: Values,
    b: Values,
    level: float = 0.95,
    *,
    groups: Groups | None = None,
    unit: str = "seed",
    scope: str = "this test set",
) -> PairedInterval:
    """Student interval of the mean paired difference a - b.

    a, b: seed -> value with the same seeds, or (n,) arrays already joined. groups: a label per seed; both
    arms are averaged inside each label first. Mismatched seeds raise ValueError and are listed.
    n < 3 or zero variance of a - b: no interval, t = 0, p = 1, and a warning. Identical arms estimate 0.
    """
    check_share(level, "level")
    first, second = joined({"a": a, "b": b}, groups)
    fit = fit_mean(first - second, level, first, second)
    return PairedInterval(
        estimate=fit.estimate,
        low=fit.low,
        high=fit.high,
        level=level,
        method=_method("paired t", "identity", groups),
        n=len(first),
        unit=unit,
        scope=scope,
        warnings=fit.warnings,
        sd=fit.sd,
        se=fit.se,
        df=fit.df,
        t=fit.t,
        p=fit.p,
        r=_pearson(first, second),
    )


def _method(name: str, scale: str, groups: Groups | None) -> str:
    on_logits = " on logits, transformed back" if scale == "logit" else ""
    return name + on_logits + (" of group means" if groups is not None else "")


def _sizes(values: np.ndarray, scale: str) -> tuple[np.ndarray, ...]:
    # A fraction known to 1e-16 has a logit known to about that, even where the logit is 0.
    return (values, np.ones(1)) if scale == "logit" else (values,)


def _expit(z: float) -> float:
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


def _pearson(a: np.ndarray, b: np.ndarray) -> float | None:
    if len(a) < 3 or constant(a) or constant(b):
        return None
    x, y = a - a.mean(), b - b.mean()
    return float(np.clip(x @ y / math.sqrt((x @ x) * (y @ y)), -1, 1))
