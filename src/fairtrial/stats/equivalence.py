"""Two one-sided tests: is the difference small enough not to matter?"""

from __future__ import annotations

import numpy as np
from scipy.special import stdtr

from fairtrial.stats.inputs import Groups, Values, joined
from fairtrial.stats.records import Equivalence
from fairtrial.stats.rules import Margin, check_share, limits
from fairtrial.stats.student import Fit, Rows, fit_mean


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
    """Two one-sided t tests of a mean paired difference against a margin (Schuirmann 1987).

    a, b: the arms, joined as in `paired_interval`; or a alone holds the differences. margin: delta for
    (-delta, delta), or (low, high) around 0, in logs when a and b are logs. t_lower = (d̄ - low)/se is tested
    above and t_upper = (d̄ - high)/se below; p is the larger one. `equivalent`: the 1 - 2·alpha interval lies
    strictly inside. n < 3 or zero variance: not equivalent, p = 1, and a warning.
    """
    check_share(alpha, "alpha", below=0.5)
    lower, upper = limits(margin)
    arms = joined({"a": a} if b is None else {"a": a, "b": b}, groups)
    values = arms[0] if b is None else arms[0] - arms[1]
    level = 1 - 2 * alpha
    fit = fit_mean(values, level, *arms)
    t_lower, t_upper, p_lower, p_upper = map(float, one_sided(fit, lower, upper))
    return Equivalence(
        estimate=fit.estimate,
        low=fit.low,
        high=fit.high,
        level=level,
        method="two one-sided paired t tests" + (" of group means" if groups is not None else ""),
        n=len(values),
        unit=unit,
        scope=scope,
        warnings=fit.warnings,
        margin=(lower, upper),
        alpha=alpha,
        se=fit.se,
        df=fit.df,
        t_lower=t_lower,
        t_upper=t_upper,
        p_lower=p_lower,
        p_upper=p_upper,
        p=max(p_lower, p_upper),
        equivalent=bool(inside(fit, lower, upper)),
    )


def one_sided(fit: Fit | Rows, lower: float, upper: float) -> tuple[np.ndarray, ...]:
    """t_lower, t_upper, p_lower, p_upper of one fit or of every row; t = 0 and p = 1 without an interval."""
    none, df = np.isinf(fit.high), np.maximum(fit.df, 1)
    se = np.where(none, 1.0, fit.se)
    above, below = (
        np.where(none, 0.0, (fit.estimate - lower) / se),
        np.where(none, 0.0, (fit.estimate - upper) / se),
    )
    return above, below, np.where(none, 1.0, stdtr(df, -above)), np.where(none, 1.0, stdtr(df, below))


def inside(fit: Fit | Rows, lower: float, upper: float) -> np.ndarray:
    """Whether the interval lies strictly inside the margin."""
    return np.less(lower, fit.low) & np.less(fit.high, upper)
