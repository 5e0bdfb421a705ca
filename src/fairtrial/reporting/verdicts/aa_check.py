"""The A/A check: one arm against itself under other draws must show that nothing differs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pandas as pd

from fairtrial.reporting.results.load import Results, failure_words, per_seed
from fairtrial.reporting.results.replication_units import unit_of
from fairtrial.reporting.wording import SCALES, Scale, describe_interval, plural
from fairtrial.stats import paired_interval
from fairtrial.stats.records import PairedInterval
from fairtrial.study import factors
from fairtrial.study.study import Study

LEVEL: Final = 0.99  # a false alarm in one study of a hundred
QUIET: Final = "quiet"
NO_ALARM: Final = "no alarm"
BORDERLINE: Final = "borderline"
ALARM: Final = "alarm"
UNDECIDED: Final = "undecided"
_INSIDE: Final = 0.95
_SPLIT: Final = f"excludes 0 at {100 * _INSIDE:g} %, not at {100 * LEVEL:g} %"
_BY_CHANCE: Final = f"one check in {round(1 / (LEVEL - _INSIDE))} does by chance"  # if nothing differs


@dataclass(frozen=True)
class AACheck:
    """What the A/A arm says (STATISTICS 17.5).

    state: quiet where the 95 % interval (`inside`) lies within the margin; alarm where the 99 % interval
    excludes 0, or a run of the arm failed; between the two no alarm where the 95 % interval contains 0, and
    borderline where it does not; undecided where nothing can be said yet.
    n counts pairs of runs: they share their checkpoint, so contrasts may count something above them.
    """

    arm: str
    scale: Scale
    margin: float
    state: str
    reason: str
    differences: Mapping[int, float] = field(default_factory=dict)
    interval: PairedInterval | None = None
    inside: PairedInterval | None = None

    @property
    def alarm(self) -> bool:
        """Whether the study's own control failed."""
        return self.state == ALARM

    @property
    def holds(self) -> bool | None:
        """Whether there is no alarm; None where nothing can be said yet."""
        return None if self.state == UNDECIDED else not self.alarm

    @property
    def half_width(self) -> float | None:
        """Half of the 95 % interval."""
        return None if self.inside is None else (self.inside.high - self.inside.low) / 2

    @property
    def words(self) -> str:
        """'quiet', 'no alarm, too wide to tell (half-width 2.7 points)', 'borderline (...)', 'ALARM'."""
        if self.state == NO_ALARM and self.half_width is not None:
            return f"no alarm, too wide to tell (half-width {self.scale.gap(self.half_width)})"
        if self.state == BORDERLINE:
            return f"{BORDERLINE} ({_SPLIT}: {_BY_CHANCE})"
        return "ALARM" if self.alarm else self.state

    @property
    def sentence(self) -> str:
        """One sentence for the report and the command line."""
        if self.state == UNDECIDED:
            return f"A/A: undecided ({self.reason})."
        if self.alarm:
            return f"A/A ALARM: {self.arm} {self.reason}; mistrust every verdict of this study."
        margin = f"margin ±{self.scale.gap(self.margin)}"
        return f"A/A: {self.words} ({self.arm}: {self.reason}; {margin}; alarm at {100 * LEVEL:g} %)."


def absence(study: Study) -> str:
    """Return what a report says of a study without an A/A arm, with the reason where there is one."""
    kept = (
        ": pre-training keeps one checkpoint of each arm and seed, and a twin's would be a second one"
        if study.settings(study.arms()[0]).stage == "upstream"
        else ""
    )
    return f"No A/A arm was declared{kept}. Nothing shows that equal arms would be called equal."


def compare(results: Results, *, partial: bool = False) -> AACheck | None:
    """Compare the A/A arm (replica 1) with the same arm, paired on the seed; None without an A/A arm."""
    study = results.study
    if study.aa is None:
        return None
    first = study.contrasts[0] if study.contrasts else None
    metric = first.metric if first else "test_acc"
    margin = study.margin if first is None or first.margin is None else first.margin
    arm, scale = factors.label({name: study.aa[name] for name in study.factors}), SCALES[metric]
    runs = [results.where(study.aa, number) for number in (1, 0)]
    replica, own = (per_seed(cells, metric) for cells in runs)
    seeds = [seed for seed in results.seeds if seed in own and seed in replica]
    differences = {seed: replica[seed] - own[seed] for seed in seeds}
    if failed := _failed(results, pd.concat(runs)):
        return AACheck(arm, scale, margin, ALARM, failed, differences)
    if not results.sound and not partial:
        return AACheck(arm, scale, margin, UNDECIDED, results.unsound, differences)
    if not seeds:
        return AACheck(arm, scale, margin, UNDECIDED, "no complete pair yet")
    if not any(differences.values()) and len(seeds) > 1:
        same = "gave the same values in both runs: do the draws reach the network at all?"
        return AACheck(arm, scale, margin, ALARM, same, differences)
    sides = {s: replica[s] for s in seeds}, {s: own[s] for s in seeds}
    unit = unit_of(results, *runs).inner
    wide, inside = (paired_interval(*sides, level, unit=unit) for level in (LEVEL, _INSIDE))
    if not math.isfinite(wide.low):
        return AACheck(arm, scale, margin, UNDECIDED, wide.warnings[0], differences)
    state, reason = _state(scale, margin, wide, inside)
    return AACheck(arm, scale, margin, state, reason, differences, wide, inside)


def _failed(results: Results, runs: pd.DataFrame) -> str:
    """Return 'has failed runs, 1 run diverged'; nothing where no run of the pair failed."""
    lost = Counter(results.missing[cell][-1].status for cell in runs["cell"] if cell in results.missing)
    lost += Counter(runs["status"][runs["failed"].astype(bool)])
    return f"has failed runs: {failure_words(lost)}" if lost else ""


def _state(scale: Scale, margin: float, wide: PairedInterval, inside: PairedInterval) -> tuple[str, str]:
    if not wide.low <= 0 <= wide.high:
        return ALARM, f"differs from itself ({describe_interval(scale, wide)}, at {100 * LEVEL:g} %)"
    shown = scale.decided(inside.low, inside.high, margin)
    size = scale.gap(inside.estimate) + (f" of {scale.name}" if scale.unit == "points" else "")
    reason = f"{size} {shown} (95 %), n = {plural(inside.n, f'paired {inside.unit}')}"
    within, contains = -margin < inside.low and inside.high < margin, inside.low <= 0 <= inside.high
    if contains:
        return QUIET if within else NO_ALARM, reason
    reason += f"; {100 * LEVEL:g} % {scale.decided(wide.low, wide.high, margin)}"
    return (QUIET, f"{reason}; {_SPLIT}: {_BY_CHANCE}") if within else (BORDERLINE, reason)
