"""Time to a target accuracy, when some seeds never reach it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fairtrial.stats.binomial import clopper_pearson
from fairtrial.stats.exact import MOST_PAIRS, sign_flip_p
from fairtrial.stats.inputs import Random, Values, check_share, joined
from fairtrial.stats.means import paired_interval
from fairtrial.stats.records import TimeToTarget


def time_to_target(
    a: Values,
    b: Values,
    budget: float,
    *,
    reached_a: Values | None = None,
    reached_b: Values | None = None,
    level: float = 0.95,
    rng: Random | None = None,
    unit: str = "seed",
    scope: str = "this test set",
) -> TimeToTarget:
    """Paired t interval of the restricted mean time to target, E min(T, budget), a minus b.

    a, b: seed -> time, or joined arrays; infinite, above the budget, or reached = 0 is a miss, and a miss
    counts as the budget. Times come from the same evaluation grid in both arms, the target held at two
    consecutive evaluations. reached_*: k of n with Clopper-Pearson; medians take a miss as +inf. sign_flip_p
    needs rng beyond 20 seeds, and is None without. Nobody reached: both means equal the budget, no interval,
    and a warning.
    """
    check_share(level, "level")
    if not 0 < budget < math.inf:
        raise ValueError(f"budget is above 0; got {budget!r}")
    arms = {"a": _finite(a, "a", budget), "b": _finite(b, "b", budget)}
    flags = {
        name: flag for name, flag in (("reached_a", reached_a), ("reached_b", reached_b)) if flag is not None
    }
    columns = dict(zip((*arms, *flags), joined({**arms, **flags}), strict=True))
    cut, medians, reached = [], [], []
    for name in arms:
        times = columns[name]
        hit = (times <= budget) & (columns.get(f"reached_{name}", np.ones_like(times)) != 0)
        cut.append(np.where(hit, times, budget))
        medians.append(float(np.median(np.where(hit, times, math.inf))))
        reached.append(clopper_pearson(int(hit.sum()), len(hit), level, unit=unit, scope=scope))
    fit = paired_interval(*cut, level, unit=unit, scope=scope)
    nobody = (
        ("nobody reached the target: both means are the budget",) if not any(r.k for r in reached) else ()
    )
    countable = fit.n <= MOST_PAIRS or rng is not None
    return TimeToTarget(
        estimate=fit.estimate,
        low=fit.low,
        high=fit.high,
        level=level,
        method="paired t on min(T, budget)",
        n=fit.n,
        unit=unit,
        scope=scope,
        warnings=nobody + fit.warnings,
        budget=float(budget),
        rmst_a=float(cut[0].mean()),
        rmst_b=float(cut[1].mean()),
        median_a=medians[0],
        median_b=medians[1],
        reached_a=reached[0],
        reached_b=reached[1],
        t=fit.t,
        p=fit.p,
        sign_flip_p=sign_flip_p(cut[0] - cut[1], rng=rng).p if countable else None,
    )


def _finite(times: Values, name: str, budget: float) -> Any:
    """The times in the same form, a miss at twice the budget so that it passes the door; NaN does not."""
    late = 2 * budget
    if hasattr(times, "items"):
        found = {seed: late if time == math.inf else time for seed, time in times.items()}
        least = min(found.values(), default=0)
    else:
        found = [late if time == math.inf else time for time in times]
        least = min(found, default=0)
    if least < 0:
        raise ValueError(f"{name} holds times of at least 0; got {least!r}")
    return found
