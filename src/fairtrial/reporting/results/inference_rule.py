"""What one reading of a study may claim: the only one, an interim analysis, or one after every seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from fairtrial.stats import confidence_sequence, tost
from fairtrial.stats.records import Equivalence, PairedInterval
from fairtrial.study.stopping import Stopping


@dataclass(frozen=True)
class InferenceRule:
    """What a declaration allows.

    alpha: of one reading, over all its contrasts. parts: into how many readings alpha was divided.
    sequence: whether limits hold at any number of seeds.
    """

    alpha: float
    parts: int = 1
    sequence: bool = False

    @classmethod
    def of(cls, declaration: dict[str, Any]) -> InferenceRule:
        """Return the rule of a study as declared (STATISTICS 9)."""
        stop = Stopping.of(declaration["stop"]) if "stop" in declaration else Stopping("looks")
        return cls(declaration["alpha"] / stop.parts, stop.parts, stop.sequence)

    @property
    def level(self) -> float:
        """Of the intervals that a sentence shows, not adjusted for other contrasts."""
        return 1 - self.alpha

    @property
    def name(self) -> str:
        """'95 % paired t intervals', '98.33 % paired t intervals', '95 % t confidence sequences'."""
        kind = "t confidence sequences" if self.sequence else "paired t intervals"
        return f"{100 * self.level:.4g} % {kind}"

    def limits(self, interval: PairedInterval, values: Sequence[float], level: float) -> PairedInterval:
        """Return the interval of a contrast; of a sequence its last limits, and p = 1 / E (arXiv 2310.03722).

        found: the paired t interval of `values` at this level.
        """
        if not self.sequence or math.isinf(interval.low):
            return interval
        run = confidence_sequence(values, alpha=1 - level, unit=interval.unit)
        low, high = float(run.low[-1]), float(run.high[-1])
        wide = (f"no interval at n = {len(values)}: the confidence sequence has no limits yet",)
        return replace(
            interval,
            low=low,
            high=high,
            p=_p(run.e_value[-1], 1),
            method=run.method,
            warnings=interval.warnings + (wide if math.isinf(low) else ()),
        )

    def equivalence(
        self, values: Sequence[float], margin: float, unit: str, alpha: float | None = None
    ) -> Equivalence:
        """Say whether the 1 - 2 alpha limits lie inside the margin; each margin is tested at alpha.

        alpha: of a step of Holm; that of the reading when left out.
        """
        alpha = self.alpha if alpha is None else alpha
        by_t = tost(values, margin=margin, alpha=alpha, unit=unit)
        if not self.sequence or math.isinf(by_t.low):
            return by_t
        run = confidence_sequence(values, alpha=2 * alpha)
        low, high = float(run.low[-1]), float(run.high[-1])
        p_lower, p_upper = (self._beyond(values, sign * margin, -sign) for sign in (-1, 1))
        return replace(
            by_t,
            low=low,
            high=high,
            method=f"two one-sided {run.method}s",
            p_lower=p_lower,
            p_upper=p_upper,
            p=max(p_lower, p_upper),
            equivalent=-margin < low and high < margin,
        )

    def _beyond(self, values: Sequence[float], null: float, sign: int) -> float:
        """Return the one-sided p: half of 1 / E against `null` if the mean is on its side; else 1."""
        run = confidence_sequence(values, alpha=2 * self.alpha, null=null)
        return _p(run.e_value[-1], 2) if sign * (run.estimate[-1] - null) > 0 else 1.0


def _p(e_value: float, sides: int) -> float:
    return min(1.0, 1 / (sides * float(e_value))) if e_value > 0 else 1.0
