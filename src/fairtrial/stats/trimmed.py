"""The interval of a trimmed mean: the usual one, but that a few disturbed values do not decide it."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import stdtrit

from fairtrial.stats.inputs import Values, constant, sample
from fairtrial.stats.records import MeanInterval
from fairtrial.stats.rules import check_share

SHARE = 0.2  # on each side, as Wilcox advises


def trimmed_interval(
    x: Values, level: float = 0.95, *, share: float = SHARE, unit: str = "seed", scope: str = "this test set"
) -> MeanInterval:
    """Interval of the mean without the lowest and the highest g = int(share · n) values (Yuen 1974).

    se = s_w · √((n-1) / (h(h-1))) for the h = n - 2g that are kept, where s_w is the standard deviation once
    the others are set to the nearest one kept; t with h - 1 degrees of freedom. g = 0 is Student's interval.
    h < 3 or zero variance: no interval, and a warning.
    """
    check_share(level, "level")
    if not 0 <= share < 0.5:
        raise ValueError(f"share lies in [0, 0.5); got {share!r}")
    values = np.sort(sample(x, "x"))
    n = len(values)
    g = int(share * n)
    kept = values[g : n - g]
    nearest = np.clip(values, kept[0], kept[-1])
    sd = float(nearest.std(ddof=1)) if n > 1 else math.inf
    df = len(kept) - 1
    se = sd * math.sqrt((n - 1) / (len(kept) * df)) if df else math.inf
    estimate = float(kept.mean())
    warning = _warning(kept, values)
    half = math.inf if warning else float(stdtrit(df, 0.5 + level / 2)) * se
    return MeanInterval(
        estimate=estimate,
        low=estimate - half,
        high=estimate + half,
        level=level,
        method=f"t of the mean trimmed by {share:g}",
        n=n,
        unit=unit,
        scope=scope,
        warnings=(warning,) if warning else (),
        sd=sd,
        se=se,
        df=df,
    )


def _warning(kept: np.ndarray, values: np.ndarray) -> str:
    if len(kept) < 3:
        return "no interval: fewer than 3 replication units"
    return "no interval: zero observed variance" if constant(kept, values) else ""
