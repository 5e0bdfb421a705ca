"""Time to a target accuracy, when some seeds never reach it."""

from __future__ import annotations

import math

import numpy as np

from fairtrial.stats.binomial import clopper_pearson
from fairtrial.stats.exact import MOST_PAIRS, sign_flip_p
from fairtrial.stats.inputs import Random, Values, joined
from fairtrial.stats.means import paired_interval
from fairtrial.stats.records import TimeToTarget
from fairtrial.stats.rules import check_share


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
    hit_a, hit_b = (
        (columns[name] <= budget) & (columns.get(f"reached_{name}", np.ones(1)) != 0) for name in arms
    )
    cut_a, cut_b = np.where(hit_a, columns["a"], budget), np.where(hit_b, columns["b"], budget)
    fit = paired_interval(cut_a, cut_b, level, unit=unit, scope=scope)
    reached = hit_a.any() or hit_b.any()
    nobody = () if reached else ("nobody reached the target: both means are the budget",)
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
        rmst_a=float(cut_a.mean()),
        rmst_b=float(cut_b.mean()),
        median_a=float(np.median(np.where(hit_a, cut_a, math.inf))),
        median_b=float(np.median(np.where(hit_b, cut_b, math.inf))),
        reached_a=clopper_pearson(int(hit_a.sum()), fit.n, level, unit=unit, scope=scope),
        reached_b=clopper_pearson(int(hit_b.sum()), fit.n, level, unit=unit, scope=scope),
        t=fit.t,
        p=fit.p,
        sign_flip_p=sign_flip_p(cut_a - cut_b, rng=rng).p if countable else None,
    )


def _finite(times: Values, name: str, budget: float) -> Values:
    """The times in the same form, a miss at twice the budget so that it passes the door, as NaN does not."""
    late = 2 * budget
    by_seed = dict(times.items()) if hasattr(times, "items") else dict(enumerate(times))
    found = {seed: late if time == math.inf else time for seed, time in by_seed.items()}
    early = [seed for seed, time in found.items() if time < 0]
    if early:
        raise ValueError(f"{name} holds times of at least 0; not so at {early}")
    return found if hasattr(times, "items") else list(found.values())
