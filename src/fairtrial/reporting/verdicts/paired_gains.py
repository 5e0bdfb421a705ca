"""What a change is worth along an axis: paired differences at each level, averaged within their units."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from fairtrial.norm_table import NORM_TABLE
from fairtrial.reporting.results.arms import NORM, combinations, identity
from fairtrial.reporting.results.contrast_sides import sides, unit_of_contrast
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.results.paired_sides import differences, has_limits, interval
from fairtrial.reporting.results.replication_units import ReplicationUnit
from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts
from fairtrial.reporting.wording import clean, level
from fairtrial.stats.records import PairedInterval
from fairtrial.study import factors, initial_checkpoint
from fairtrial.study.contrast import Levels, corners
from fairtrial.study.study import Contrast, Study

_OPEN: Final = ("inconclusive", "refused")


@dataclass(frozen=True, eq=False)
class GainLine:
    """One line of a panel: treatment minus control, at the levels that both share."""

    name: str
    treatment: Levels
    control: Levels
    at: Levels
    look: Levels  # the arm whose colour it has

    @property
    def named(self) -> set[str]:
        """The factors that are not averaged over."""
        return {*self.treatment, *self.control, *self.at}


@dataclass(frozen=True)
class GainPanel:
    """Changes on one scale; the title says what is subtracted from what."""

    title: str
    lines: tuple[GainLine, ...]


@dataclass(frozen=True)
class GainPoint:
    """A change at one level of the axis; `interval` is None where none may be shown."""

    level: Any
    values: Mapping[int, float]
    failed: frozenset[int]
    unit: ReplicationUnit
    interval: PairedInterval | None
    settled: bool = False  # by a verdict of the study on the same two sides

    @property
    def centre(self) -> float:
        """The mean over units, NaN without any."""
        means = self.unit.means(self.values)
        return math.fsum(means) / len(means) if means else math.nan


def tunings(study: Study) -> list[GainPanel]:
    """Return fine-tuning minus training from scratch, and minus each other way to tune that is swept."""
    levels = study.factors.get("finetune", ())
    others = [mode for mode in ("scratch", "linear_probe", "last") if mode in levels and "full" in levels]
    if not others and "scratch" in levels:
        return [_panel(study, "finetune", mode, "scratch") for mode in levels if mode != "scratch"]
    return [_panel(study, "finetune", "full", mode) for mode in others] or _uppers(study)


def _uppers(study: Study) -> list[GainPanel]:
    """Return each upstream minus none."""
    levels = study.factors.get("upstream", ())
    above = (
        [upstream for upstream in levels if upstream != initial_checkpoint.NONE]
        if initial_checkpoint.NONE in levels
        else []
    )
    return [_panel(study, "upstream", upstream, initial_checkpoint.NONE) for upstream in above]


def mixups(study: Study) -> list[GainPanel]:
    """Return each MixUp minus none."""
    levels = study.factors.get("mixup", ())
    return [_panel(study, "mixup", alpha, 0.0) for alpha in levels if alpha and 0.0 in levels]


def bn_modes(study: Study) -> list[GainPanel]:
    """Return each other treatment of BN's running statistics minus updating them; of BN arms alone."""
    levels = study.factors.get("bn_mode", ())
    panels = [_panel(study, "bn_mode", mode, "updated") for mode in levels if mode != "updated"]
    lines = [[line for line in panel.lines if _keeps_statistics(line)] for panel in panels]
    kept = [replace(panel, lines=tuple(mine)) for panel, mine in zip(panels, lines, strict=True) if mine]
    return kept if "updated" in levels else []


def _keeps_statistics(line: GainLine) -> bool:
    return NORM_TABLE[line.look.get("norm", "none")].running_statistics


def norms(study: Study) -> list[GainPanel]:
    """Return GN with WS minus plain BN; where it is not swept, every other arm minus plain BN."""
    arms = _arms(study)
    plain = {"norm": "bn", "weight_std": False}
    best = {"norm": "gn", "weight_std": True}
    control = [arm for arm in arms if {**plain, **arm} == plain]
    if "norm" not in study.factors or not control:
        return []
    treatments = [arm for arm in arms if "weight_std" in arm and arm == best]
    treatments = treatments or [arm for arm in arms if arm != control[0]]
    lines = [GainLine(_name(arm), arm, control[0], {}, identity(study, arm)) for arm in treatments]
    only = f"{lines[0].name} minus " if len(lines) == 1 else "minus "
    return [GainPanel(only + _name(control[0]), tuple(lines))]


def _panel(study: Study, factor: str, treatment: Any, control: Any) -> GainPanel:
    """Return one line per norm; where each has a network of its own, that is named too."""
    arms, networks = _arms(study), [name for name in (*NORM, "model") if name in study.factors]
    if "model" in networks and len(own := combinations(study, networks)) == len(arms):
        arms = own
    lines = [
        GainLine(_name(arm), {factor: treatment}, {factor: control}, arm, identity(study, arm))
        for arm in arms
    ]
    return GainPanel(f"{level(factor, treatment)} minus {level(factor, control)}", tuple(lines))


def _arms(study: Study) -> list[dict[str, Any]]:
    """Return the swept norms, with and without weight standardization; an empty arm without any."""
    return combinations(study, [name for name in NORM if name in study.factors])


def _name(arm: Levels) -> str:
    return clean(factors.label(arm)) if arm else ""


def measure(
    verdicts: StudyVerdicts, panels: Sequence[GainPanel], axis: str, metric: str
) -> dict[GainLine, list[GainPoint]]:
    """Return each line's points, and which of them a verdict of the study settles."""
    results, intervals = verdicts.results, verdicts.results.sound or verdicts.partial
    settled = [
        _cells(results.study, finding.contrast)
        for finding in verdicts.findings
        if finding.contrast.metric == metric and finding.verdict not in _OPEN
    ]
    return {
        line: [
            replace(
                _point(results, value, contrast, intervals),
                settled=_cells(results.study, contrast) in settled,
            )
            for value, contrast in _at_each_level(results.study, line, axis, metric)
        ]
        for panel in panels
        for line in panel.lines
    }


def _cells(study: Study, contrast: Contrast) -> frozenset[frozenset[int]]:
    """Return the arms of each side, whichever is the treatment and however many factors name them."""
    arms = study.arms()
    return frozenset(
        frozenset(place for place, arm in enumerate(arms) if side.items() <= arm.items())
        for side in corners(contrast)
    )


def _at_each_level(study: Study, line: GainLine, axis: str, metric: str) -> Iterator[tuple[Any, Contrast]]:
    """Yield the contrast at each level of the axis; a side with one level is compared from there."""
    sides = [{**side, **line.at} for side in (line.treatment, line.control)]
    levels = [_levels(study, side, axis) for side in sides]
    for value in study.factors[axis]:
        own = [value if value in each else each[0] for each in levels if value in each or len(each) == 1]
        if len(own) == 2 and value in (*levels[0], *levels[1]):
            treatment, control = ({**side, axis: each} for side, each in zip(sides, own, strict=True))
            yield value, Contrast("", treatment, control, metric=metric)


def _levels(study: Study, side: Levels, axis: str) -> list[Any]:
    """Return the levels of the axis that arms of a side have."""
    arms = [arm for arm in study.arms() if side.items() <= arm.items()]
    return list(dict.fromkeys(arm[axis] for arm in arms))


def _point(results: Results, value: Any, contrast: Contrast, intervals: bool) -> GainPoint:
    parts, unit = sides(results, contrast), unit_of_contrast(results, contrast)
    values = differences(parts, results.seeds)
    lost = frozenset[int]().union(*(part.failed_seeds for part in parts))
    paired = interval(parts, unit, 0.95) if intervals and values and not unit.problem else None
    return GainPoint(value, values, lost, unit, paired if has_limits(paired) else None)
