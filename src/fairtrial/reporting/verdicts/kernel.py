"""What share of a training step a kernel takes, and how long the step is with a faster one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fairtrial.reporting.results.load import Results
from fairtrial.reporting.wording import clean
from fairtrial.stats import ratio_interval
from fairtrial.study import factors
from fairtrial.study.contrast import corners
from fairtrial.study.study import Contrast

COMPONENT: Final = "weight_std"  # the factor that turns the kernel on
STD_CONV: Final = "StdConv"
LIMITS: Final = ("low", "estimate", "high")


@dataclass(frozen=True)
class Share:
    """The part of a step that the kernel takes, with its 95 % limits; 0 to 1 where there is no interval.

    n: the seeds that it was measured on; 0 when it was given.
    """

    arm: str
    twin: str  # the same arm without the kernel; empty when the share was given
    estimate: float
    low: float
    high: float
    n: int

    def step(self, faster: float, limit: str = "estimate") -> float:
        """How long a step is with a kernel so many times faster, as a part of what it was."""
        return 1 - getattr(self, limit) * (1 - 1 / faster)


def given(share: float, arm: str) -> Share:
    """A share that somebody measured elsewhere, taken as exact."""
    return Share(arm, "", share, share, share, 0)


def name_of(arm: Mapping[str, Any]) -> str:
    """An arm in words."""
    return clean(factors.label(arm))


def arms_of(results: Results, levels: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The arms that have these levels."""
    return [arm for arm in results.study.arms() if levels.items() <= arm.items()]


def spared(results: Results, contrast: Contrast, share: float | None) -> list[dict[str, Any]]:
    """The arms of a contrast that a faster kernel makes faster.

    Those with weight standardization; those of the treatment alone where a share was given, because that
    speaks of one kernel that nobody but its giver knows.
    """
    sides = [arms_of(results, levels) for levels in corners(contrast)]
    treated = [arm for side in sides[::2] for arm in side]
    if share is not None:
        return treated
    every = [*treated, *(arm for side in sides[1::2] for arm in side)]
    return [arm for arm in every if results.study.settings(arm)[COMPONENT]]


def measured(results: Results, arm: Mapping[str, Any]) -> Share | None:
    """The share from recorded step times: 1 - (without / with), paired on the seed; None without a twin.

    The twin has the same norm and batch and no weight standardization. An arm that is not slower than its
    twin has the share 0.
    """
    twin = {**arm, COMPONENT: False}
    if COMPONENT not in arm or twin not in results.study.arms():
        return None
    slow, fast = _step_s(results, arm), _step_s(results, twin)
    seeds = slow.keys() & fast.keys()
    if not seeds:
        return None
    ratio = ratio_interval({s: fast[s] for s in seeds}, {s: slow[s] for s in seeds})
    known = math.isfinite(ratio.low)
    low, high = (1 - ratio.high, 1 - ratio.low) if known else (0.0, 1.0)
    return Share(
        arm=name_of(arm),
        twin=name_of(twin),
        estimate=max(0.0, 1 - ratio.estimate),
        low=max(0.0, low),
        high=max(0.0, high),
        n=ratio.n,
    )


def _step_s(results: Results, arm: Mapping[str, Any]) -> dict[int, float]:
    """Seed -> seconds per update, of the runs that finished."""
    cells = results.where(arm)
    done = cells[cells["status"] == "done"]
    if not len(done):
        return {}
    return {
        int(seed): float(seconds) / int(steps)
        for seed, seconds, steps in zip(done["seed"], done["train_s"], done["steps"], strict=True)
        if seconds > 0 and steps
    }
