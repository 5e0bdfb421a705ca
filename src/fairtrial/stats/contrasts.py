"""Intervals of contrasts between samples: difference, ratio, interaction; the standardized difference."""

from __future__ import annotations

import math

import numpy as np

from fairtrial.stats.inputs import Groups, Values, constant, joined, sample
from fairtrial.stats.records import InteractionInterval, PairedInterval, RatioInterval, WelchInterval
from fairtrial.stats.rules import check_count, check_share, no_interval
from fairtrial.stats.student import Fit, fit_mean, fit_t
from fairtrial.study.limits import MIN_UNITS


def paired_interval(
    a: Values,
    b: Values,
    level: float = 0.95,
    *,
    groups: Groups | None = None,
    unit: str = "seed",
    scope: str = "this test set",
) -> PairedInterval:
    """Return Student's interval of the mean paired difference a - b.

    a, b: seed -> value with the same seeds, or (n,) arrays already joined. groups: a label per seed; both
    arms are averaged inside each label first. Mismatched seeds raise ValueError and are listed.
    Too few pairs or zero variance of a - b: no interval, t = 0, p = 1, and a warning.
    """
    check_share(level, "level")
    first, second = joined({"a": a, "b": b}, groups)
    fit = fit_mean(first - second, level, first, second)
    method = "paired t" + (" of group means" if groups is not None else "")
    r = _pearson(first, second)
    return PairedInterval(**fit.mean(), t=fit.t, p=fit.p, r=r, method=method, unit=unit, scope=scope)


def welch_interval(
    a: Values, b: Values, level: float = 0.95, *, unit: str = "seed", scope: str = "this test set"
) -> WelchInterval:
    """Return Welch's interval of mean(a) - mean(b), with the degrees of freedom of Satterthwaite.

    a: (n_a,) and b: (n_b,) independent values, or mappings whose seeds are not joined.
    Too few values in an arm, or two constant arms: no interval, t = 0, p = 1. One constant arm is fine.
    """
    check_share(level, "level")
    arms = [sample(a, "a"), sample(b, "b")]
    sizes = [len(arm) for arm in arms]
    fit = _fit_welch(arms, level)
    return WelchInterval(
        **fit.interval(),
        n_a=sizes[0],
        n_b=sizes[1],
        se=fit.se,
        df=fit.df,
        t=fit.t,
        p=fit.p,
        method="Welch t",
        unit=unit,
        scope=scope,
    )


def _fit_welch(arms: list[np.ndarray], level: float) -> Fit:
    """se² = Σ s_i² / n_i, with the degrees of freedom of Welch and Satterthwaite."""
    n, estimate = sum(map(len, arms)), float(arms[0].mean() - arms[1].mean())
    fewest = min(map(len, arms))
    if fewest < 2:
        return fit_t(estimate, math.inf, 0, level, n=n, warning=no_interval(fewest, flat=True))
    parts = [0.0 if constant(arm) else float(arm.var(ddof=1)) / len(arm) for arm in arms]
    total, free = sum(parts), [len(arm) - 1 for arm in arms]
    # Shares of the total keep the ratio clear of underflow.
    shares = sum((part / total) ** 2 / v for part, v in zip(parts, free, strict=True)) if total else 0.0
    warning = no_interval(fewest, flat=not total)
    return fit_t(estimate, math.sqrt(total), 1 / shares if total else sum(free), level, n=n, warning=warning)


def ratio_interval(
    a: Values, b: Values, level: float = 0.95, *, unit: str = "seed", scope: str = "this test set"
) -> RatioInterval:
    """Return the interval of the ratio of geometric means a / b: the exponential of t on log(a / b).

    a, b: positive rates with the same seeds, or joined arrays; a value <= 0 raises ValueError. Too few pairs
    or zero variance of the logs: no interval, p = 1.
    """
    check_share(level, "level")
    arms = dict(zip("ab", joined({"a": a, "b": b}), strict=True))
    for name, values in arms.items():
        if values.min() <= 0:
            raise ValueError(f"{name} holds positive rates; got {values.min():g}")
    logs = [np.log(values) for values in arms.values()]
    # A rate known to one part in 1e16 has a log known to 1e-16, even where the log is 0.
    fit = fit_mean(logs[0] - logs[1], level, *logs, np.ones(1))
    return RatioInterval(
        estimate=math.exp(fit.estimate),
        low=fit.low if fit.warnings else math.exp(fit.low),
        high=fit.high if fit.warnings else math.exp(fit.high),
        level=level,
        method="paired t on log ratios",
        n=fit.n,
        unit=unit,
        scope=scope,
        warnings=fit.warnings,
        log_sd=fit.sd,
        df=fit.df,
        p=fit.p,
    )


def interaction_interval(
    a_small: Values,
    b_small: Values,
    a_large: Values,
    b_large: Values,
    level: float = 0.95,
    *,
    scale: str = "identity",
    n_test: int | None = None,
    groups: Groups | None = None,
    unit: str = "seed",
    scope: str = "this test set",
) -> InteractionInterval:
    """Return the interval of (a_small - b_small) - (a_large - b_large), by t on one contrast per seed.

    Four cells with the same seeds. scale="logit": on the logits of fractions, not transformed back; fractions
    of exactly 0 or 1 need n_test there. groups: a label per seed; every cell is averaged inside each first.
    """
    check_share(level, "level")
    cells = {"a_small": a_small, "b_small": b_small, "a_large": a_large, "b_large": b_large}
    columns = zip(cells, joined(cells, groups), strict=True)
    scaled = [on_scale(column, scale, name, n_test) for name, column in columns]
    parts = [sign * values for sign, (values, _) in zip((1.0, -1.0, -1.0, 1.0), scaled, strict=True)]
    fit = fit_mean(np.sum(parts, axis=0), level, *parts)
    per = "seed" if groups is None else "group"
    return InteractionInterval(
        **{**fit.mean(), "warnings": fit.warnings + tuple(w for _, said in scaled for w in said)},
        t=fit.t,
        p=fit.p,
        method=f"t on one contrast per {per}" + (", logit scale" if scale == "logit" else ""),
        unit=unit,
        scope=scope,
    )


def on_scale(
    fractions: np.ndarray, scale: str, name: str, n_test: int | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the values on the scale asked for ("identity" or "logit"), and the warnings this causes.

    A fraction of exactly 0 or 1 has no logit. With n_test = N images, every fraction k/N of the sample is
    then replaced by (k + 1/2) / (N + 1), which keeps their order.
    """
    if scale == "identity":
        return fractions, ()
    if scale != "logit":
        raise ValueError(f"unknown scale {scale!r}; known: identity, logit")
    if fractions.min() < 0 or fractions.max() > 1:
        raise ValueError(f"{name} holds fractions in (0, 1) for scale='logit'; got {fractions.tolist()}")
    warnings: tuple[str, ...] = ()
    if fractions.min() == 0 or fractions.max() == 1:
        if n_test is None:
            raise ValueError(
                f"{name} holds a fraction of exactly 0 or 1: pass n_test, the size of the test set"
            )
        n_test = check_count(n_test, "n_test", least=1)
        fractions = (fractions * n_test + 0.5) / (n_test + 1)
        warnings = (f"{name} touches 0 or 1: (k + 1/2) / (N + 1) used for k / N, N = {n_test}",)
    return np.log(fractions / (1 - fractions)), warnings


def hedges_g(d: Values) -> float:
    """Return Hedges' g of paired differences: J(v)·d̄/s_d, J(v) = Γ(v/2) / (√(v/2)·Γ((v-1)/2)), v = n - 1.

    Too few differences or zero variance raise ValueError. Source: Hedges (1981), without approximation.
    """
    values = sample(d, "d")
    if len(values) < MIN_UNITS:
        raise ValueError(f"a standardized paired difference needs {MIN_UNITS} pairs; got {len(values)}")
    if constant(values):
        raise ValueError("the differences are constant: zero variance has no standardized difference")
    df = len(values) - 1
    correction = math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)
    return correction * float(values.mean() / values.std(ddof=1))


def _pearson(a: np.ndarray, b: np.ndarray) -> float | None:
    if len(a) < MIN_UNITS or constant(a) or constant(b):
        return None
    x, y = a - a.mean(), b - b.mean()
    return float(np.clip(x @ y / math.sqrt((x @ x) * (y @ y)), -1, 1))
