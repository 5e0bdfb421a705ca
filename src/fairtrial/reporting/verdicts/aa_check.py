"""The A/A check: one arm against itself under other draws must say "no difference"."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fairtrial.reporting.results.load import Results, per_seed
from fairtrial.reporting.wording import SCALES, Scale, describe_interval
from fairtrial.stats import paired_interval
from fairtrial.stats.records import PairedInterval
from fairtrial.study import factors

LEVEL: Final = 0.99  # a false alarm in one study of a hundred


@dataclass(frozen=True)
class AACheck:
    """What the A/A arm says; `holds` is None where nothing can be said yet."""

    arm: str
    scale: Scale
    holds: bool | None
    reason: str
    differences: Mapping[int, float] = field(default_factory=dict)
    interval: PairedInterval | None = None

    @property
    def alarm(self) -> bool:
        """Whether the study's own control failed."""
        return self.holds is False

    @property
    def sentence(self) -> str:
        """One sentence for the report and the command line."""
        if self.holds:
            return f"A/A: no difference ({self.arm}: {self.reason}, at {100 * LEVEL:g} %)."
        if self.holds is None:
            return f"A/A: undecided ({self.reason})."
        why = f"{self.arm} differs from itself ({self.reason})"
        return f"A/A ALARM: {why}; mistrust every verdict of this study."


def compare(results: Results, *, partial: bool = False) -> AACheck | None:
    """Compare the A/A arm (replica 1) with the same arm, paired on the seed; None without an A/A arm."""
    study = results.study
    if study.aa is None:
        return None
    metric = study.contrasts[0].metric if study.contrasts else "test_acc"
    arm, scale = factors.label({name: study.aa[name] for name in study.factors}), SCALES[metric]
    second, first = (per_seed(results.where(study.aa, replica), metric) for replica in (1, 0))
    seeds = [seed for seed in results.seeds if seed in first and seed in second]
    differences = {seed: second[seed] - first[seed] for seed in seeds}
    if not results.sound and not partial:
        return AACheck(arm, scale, None, results.unsound, differences)
    if not seeds:
        return AACheck(arm, scale, None, "no complete pair yet")
    interval = paired_interval({s: second[s] for s in seeds}, {s: first[s] for s in seeds}, LEVEL)
    if not any(differences.values()) and len(seeds) > 1:
        same = "both runs gave the same values: do the draws reach the network at all?"
        return AACheck(arm, scale, False, same, differences)
    if not math.isfinite(interval.low):
        return AACheck(arm, scale, None, interval.warnings[0], differences)
    return AACheck(
        arm,
        scale,
        interval.low <= 0 <= interval.high,
        describe_interval(scale, interval),
        differences,
        interval,
    )
