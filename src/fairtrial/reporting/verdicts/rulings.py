"""Measured contrasts -> their rulings, wherever the values came from: Holm, intervals, verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from fairtrial.reporting.results.inference_rule import InferenceRule
from fairtrial.reporting.results.paired_sides import ContrastSide, has_limits, interval
from fairtrial.reporting.results.replication_units import ReplicationUnit
from fairtrial.reporting.wording import Scale, describe_interval, plural
from fairtrial.rng import ROOT
from fairtrial.stats import hedges_g, holm, sign_flip_p, verdict
from fairtrial.stats.records import Equivalence, ExactTest, HolmStep, PairedInterval, Verdict
from fairtrial.study.contrast import Contrast
from fairtrial.study.failure_policy import MISSING_LIMIT

About = Callable[["Finding"], Mapping[str, Any]]  # what `stats.verdict` takes beside the intervals


class Decision(NamedTuple):
    """An interval, its level, and the p value beside it, Holm's over the contrasts of the study."""

    low: float
    high: float
    level: float | None
    p: float


@dataclass(frozen=True)
class Finding:
    """A contrast with its verdict.

    sides: treatment and control; for an interaction both at the first level of `by`, then both at the second.
    unit: what n counts; `differences` are of single seeds. verdict: better, worse, equivalent,
    different_but_negligible, inconclusive or refused. interval: not adjusted, 95 %, or what an interim
    analysis has of alpha; whisker: 1 - alpha/m. ruling: the intervals that decided, at the levels of `step`
    and `equivalence_step`. parts: into how many analyses alpha was divided; analysis: where the contrast was
    read, in words.
    The fields after `reason` stay empty where no statistics were made.
    """

    contrast: Contrast
    scale: Scale
    margin: float
    sides: tuple[ContrastSide, ...]
    unit: ReplicationUnit
    differences: dict[int, float]
    gap: float | None  # of the declared budget between the sides, as measured
    verdict: str
    reason: str
    interval: PairedInterval | None = None
    whisker: PairedInterval | None = None
    flip: ExactTest | None = None
    equivalence: Equivalence | None = None
    effect: float | None = None  # Hedges' g of the paired differences
    step: HolmStep | None = None
    equivalence_step: HolmStep | None = None
    ruling: Verdict | None = None
    stamps: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    open_choices: tuple[str, ...] = ()  # of `stamps`: why its arms may have had better settings
    parts: int = 1
    analysis: str = ""

    @property
    def failed(self) -> bool:
        """Whether any of its runs failed."""
        return any(side.failures for side in self.sides)

    @property
    def failed_seeds(self) -> frozenset[int]:
        """Seeds of which a run failed, on any side."""
        return frozenset[int]().union(*(side.failed_seeds for side in self.sides))

    @property
    def margin_words(self) -> str:
        """The margin as a sentence has it: '±1.0 points'."""
        return f"±{self.scale.gap(self.margin)}"

    @property
    def n(self) -> int:
        """The units with a complete pair."""
        return self.unit.count(self.differences)

    @property
    def decided_by(self) -> Decision | None:
        """What the verdict rests on: two tests of equivalence where it is that, else one of a difference."""
        ruling, equal = self.ruling, self.verdict == "equivalent"
        step = self.equivalence_step if equal else self.step
        if ruling is None or step is None:
            return None
        limits = (
            (ruling.equivalence_low, ruling.equivalence_high, ruling.equivalence_level)
            if equal
            else (ruling.low, ruling.high, ruling.level)
        )
        return Decision(*limits, self.over_analyses(step.adjusted_p))

    def over_analyses(self, p: float) -> float:
        """Return a p value of this analysis times the analyses that share alpha, at most 1 (Bonferroni)."""
        return min(1.0, self.parts * p)


def decide(measured: Sequence[Finding], rule: InferenceRule, about: About) -> list[Finding]:
    """Decide contrasts: the same with their rulings; Holm runs over all of them.

    It runs twice, over the p values against 0 and over those of equivalence, and each contrast is decided by
    its intervals at the levels of its two steps. about: declared, cost_s, higher_is_better of a contrast.
    """
    steps = holm([1.0 if f.interval is None else f.interval.p for f in measured], alpha=rule.alpha)
    equal = holm([1.0 if f.interval is None else _equivalence(f, rule).p for f in measured], alpha=rule.alpha)
    return [
        finding
        if finding.interval is None
        else _ruled(finding, steps.at(index), equal.at(index), rule, about(finding))
        for index, finding in enumerate(measured)
    ]


def with_checks(
    finding: Finding, rule: InferenceRule, stamps: Iterable[str] = (), warnings: Iterable[str] = ()
) -> Finding:
    """Return a decided finding with what is told beside its ruling; these stamps and warnings come last."""
    step, ruling = finding.step, finding.ruling
    assert step is not None and ruling is not None
    means = finding.unit.means(finding.differences)
    alpha, unit = 1 - step.step_level, finding.unit.name
    finding = replace(
        finding,
        whisker=limits_of(finding, rule, 1 - rule.alpha / step.family),
        flip=None if rule.sequence else sign_flip_p(means, alpha=alpha, rng=ROOT, unit=unit),
        effect=hedges_g(means) if has_limits(finding.interval) else None,
    )
    return replace(
        finding,
        stamps=(*ruling.stamps, *finding.stamps, *stamps),
        warnings=tuple(dict.fromkeys([*ruling.warnings, *_warnings(finding, rule), *warnings])),
    )


def lost_pairs(parts: Sequence[ContrastSide], complete: int) -> str:
    """Say that a contrast has lost too many of its pairs to be judged; nothing where it has not."""
    lost = frozenset[int]().union(*(part.missing_seeds for part in parts))
    pairs = len(lost) + complete
    if len(lost) <= MISSING_LIMIT * pairs:
        return ""
    return f"incomplete: {len(lost)} of {plural(pairs, 'pair')} lost, more than {100 * MISSING_LIMIT:g} %"


def limits_of(
    finding: Finding, rule: InferenceRule, level: float, *, without: frozenset[int] = frozenset()
) -> PairedInterval:
    """Return the interval of a contrast at a level, as its rule reads it."""
    values = [value for seed, value in finding.differences.items() if seed not in without]
    return rule.limits(interval(finding.sides, finding.unit, level, without=without), values, level)


def _equivalence(finding: Finding, rule: InferenceRule, step: HolmStep | None = None) -> Equivalence:
    """Return the tests of a contrast against its margin, at the level of a step or of the reading."""
    means = finding.unit.means(finding.differences)
    alpha = None if step is None else 1 - step.step_level
    return rule.equivalence(means, finding.margin, finding.unit.name, alpha)


def _ruled(
    finding: Finding, step: HolmStep, equal: HolmStep, rule: InferenceRule, about: Mapping[str, Any]
) -> Finding:
    equivalence = _equivalence(finding, rule, equal)
    ruling = verdict(
        limits_of(finding, rule, step.step_level),
        equivalence,
        finding.margin,
        checkpoints=finding.unit.checkpoints,
        planned=finding.unit.planned,
        holm=step,
        **about,
    )
    return replace(
        finding,
        verdict=ruling.verdict,
        reason=ruling.reason,
        equivalence=equivalence,
        step=step,
        equivalence_step=equal,
        ruling=ruling,
    )


def _warnings(finding: Finding, rule: InferenceRule) -> Iterator[str]:
    if finding.flip is not None and finding.step is not None:
        yield from _unlike(finding.flip, finding.step)
    lost = frozenset[int]().union(*(part.failed_seeds for part in finding.sides))
    if lost and len(lost & finding.differences.keys()) < len(finding.differences):
        left = limits_of(finding, rule, rule.level, without=lost)
        yield f"without the failed seeds: {describe_interval(finding.scale, left)}"


def _unlike(flip: ExactTest, step: HolmStep) -> Iterator[str]:
    """Say where the exact test says something else than t, or can say nothing."""
    alpha = 1 - step.step_level
    if flip.smallest_p > alpha:
        yield f"the exact sign-flip test cannot reject at n = {flip.n} and level {alpha:.3g}"
    elif (flip.p <= alpha) != step.reject:
        says = (
            f"{'rejects' if flip.p <= alpha else 'does not reject'} (p = {flip.p:.2g} at level {alpha:.3g})"
        )
        yield f"the exact sign-flip test {says}, unlike the t interval"
