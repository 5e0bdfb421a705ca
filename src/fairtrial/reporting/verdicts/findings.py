"""Each declared contrast -> what the recorded cells say about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from fairtrial.reporting.results.contrast_sides import (
    ContrastSide,
    differences,
    has_limits,
    interval,
    sides,
    turns_on_the_logit,
)
from fairtrial.reporting.results.contrast_sides import unit_of_contrast as unit_of
from fairtrial.reporting.results.convergence import unfinished
from fairtrial.reporting.results.inference_rule import InferenceRule
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.results.replication_units import ReplicationUnit
from fairtrial.reporting.verdicts.chosen_settings import at_the_edge
from fairtrial.reporting.verdicts.fairness_checks import contrast_checks
from fairtrial.reporting.wording import SCALES, Scale, describe_interval, overlap_words, plural
from fairtrial.rng import ROOT
from fairtrial.stats import hedges_g, holm, sign_flip_p, verdict
from fairtrial.stats.records import Equivalence, ExactTest, HolmStep, PairedInterval, Verdict
from fairtrial.study.budget import parity_gap
from fairtrial.study.failure_policy import MISSING_LIMIT
from fairtrial.study.limits import LOWER_IS_BETTER
from fairtrial.study.study import Contrast


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
    def n(self) -> int:
        """The units with a complete pair."""
        return self.unit.count(self.differences)


def judge(results: Results, *, partial: bool = False) -> tuple[Finding, ...]:
    """Judge the declared contrasts; Holm runs over all of them, for differences and for equivalences.

    An incomplete study, or one with flawed records, is refused every verdict unless `partial`. Complete pairs
    are then used; the analysis is stamped exploratory, because it was not declared, and with what is wrong
    with the records.
    """
    decided = decide(
        results, [measure(results, contrast, partial=partial) for contrast in results.study.contrasts]
    )
    return tuple(finding if finding.ruling is None else _complete(results, finding) for finding in decided)


def decide(results: Results, measured: Sequence[Finding]) -> list[Finding]:
    """Decide contrasts: the same with their rulings; Holm runs over all of them.

    It runs twice, over the p values against 0 and over those of equivalence, and each contrast is decided by
    its intervals at the levels of its two steps.
    """
    rule = results.inference
    steps = holm([1.0 if f.interval is None else f.interval.p for f in measured], alpha=rule.alpha)
    equal = holm([1.0 if f.interval is None else _equivalence(f, rule).p for f in measured], alpha=rule.alpha)
    return [
        finding
        if finding.interval is None
        else _ruled(results, finding, steps.at(index), equal.at(index), rule)
        for index, finding in enumerate(measured)
    ]


def _equivalence(finding: Finding, rule: InferenceRule, step: HolmStep | None = None) -> Equivalence:
    """Return the tests of a contrast against its margin, at the level of a step or of the reading."""
    means = finding.unit.means(finding.differences)
    alpha = None if step is None else 1 - step.step_level
    return rule.equivalence(means, finding.margin, finding.unit.name, alpha)


def measure(results: Results, contrast: Contrast, *, partial: bool = False) -> Finding:
    """Measure one contrast, before any ruling; refused where its cells cannot be compared."""
    parts, rule, unit = sides(results, contrast), results.inference, unit_of(results, contrast)
    spent = [part.spent for part in parts if part.spent is not None]
    finding = Finding(
        contrast=contrast,
        scale=SCALES[contrast.metric],
        margin=results.study.margin if contrast.margin is None else contrast.margin,
        sides=parts,
        unit=unit,
        differences=differences(parts, unit.seeds),
        gap=parity_gap(spent) if len(spent) == len(parts) else None,
        verdict="refused",
        reason=_incomplete(results, parts, partial=partial),
        parts=rule.parts,
        analysis=_analysis(results, unit),
    )
    if reason := finding.reason or unit.problem or _missing(finding):
        return replace(finding, reason=reason)
    checks = contrast_checks(results, contrast)
    if problems := [problem for check in checks for problem in check.problems]:
        return replace(finding, reason="; ".join(problems))
    open_notes = tuple(note for check in checks for note in check.open)
    return replace(finding, interval=_interval(finding, rule, rule.level), stamps=open_notes)


def _incomplete(results: Results, parts: Sequence[ContrastSide], *, partial: bool) -> str:
    """Say why a contrast is refused for what is missing: any cell, or, if `partial`, too many pairs."""
    if not partial:
        return "" if results.sound else results.unsound
    lost = frozenset[int]().union(*(part.missing_seeds for part in parts))
    pairs = len(lost) + len(differences(parts, results.seeds))
    if len(lost) <= MISSING_LIMIT * pairs:
        return ""
    return f"incomplete: {len(lost)} of {plural(pairs, 'pair')} lost, more than {100 * MISSING_LIMIT:g} %"


def _analysis(results: Results, unit: ReplicationUnit) -> str:
    """Return 'interim analysis 1 of 3', 'read after every seed'; nothing without a stopping rule."""
    stop = results.study.rule
    if stop is None:
        return ""
    if stop.sequence:
        return "read after every seed"
    return f"interim analysis {stop.looks.index(len(unit.seeds)) + 1} of {len(stop.looks)}"


def _interval(
    finding: Finding, rule: InferenceRule, level: float, *, without: frozenset[int] = frozenset()
) -> PairedInterval:
    """Return the interval of a contrast at a level, as its rule reads it."""
    values = [value for seed, value in finding.differences.items() if seed not in without]
    return rule.limits(interval(finding.sides, finding.unit, level, without=without), values, level)


def _missing(finding: Finding) -> str:
    if finding.differences:
        return ""
    for part in finding.sides:
        if not part.values and part.failures:
            return (
                f"every run of {part.name} failed, and no run on its data says how many classes make chance"
            )
        if not part.values and part.runs:
            return f"{finding.contrast.metric} was not recorded for {part.name}"
    return "no complete pair of seeds yet"


def _ruled(
    results: Results, finding: Finding, step: HolmStep, equal: HolmStep, rule: InferenceRule
) -> Finding:
    unit = finding.unit
    equivalence = _equivalence(finding, rule, equal)
    ruling = verdict(
        _interval(finding, rule, step.step_level),
        equivalence,
        finding.margin,
        higher_is_better=finding.contrast.metric not in LOWER_IS_BETTER,
        declared=results.complete and registered(results, finding.contrast),
        checkpoints=unit.checkpoints,
        planned=unit.planned,
        cost_s=_cost(results, unit),
        holm=step,
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


def _complete(results: Results, finding: Finding) -> Finding:
    """Return the finding with what is told beside its ruling."""
    rule = results.inference
    unit, step, ruling = finding.unit, finding.step, finding.ruling
    assert step is not None and ruling is not None
    means = unit.means(finding.differences)
    finding = replace(
        finding,
        whisker=_interval(finding, rule, 1 - rule.alpha / step.family),
        flip=None
        if rule.sequence
        else sign_flip_p(means, alpha=1 - step.step_level, rng=ROOT, unit=unit.name),
        effect=hedges_g(means) if has_limits(finding.interval) else None,
    )
    return replace(
        finding,
        stamps=(*ruling.stamps, *finding.stamps, *_stamps(results, finding)),
        warnings=tuple(dict.fromkeys([*ruling.warnings, *_warnings(results, finding)])),
    )


def _cost(results: Results, unit: ReplicationUnit) -> float | None:
    """Return the device-seconds that one more unit of every arm costs here; upstream costs are not known."""
    return None if results.block_s is None else results.block_s * len(unit.seeds) / unit.planned


def registered(results: Results, contrast: Contrast) -> bool:
    """Say whether the contrast, as it stands, was declared before any cell of its study had an outcome."""
    history = results.declared["history"]
    declared = history[-1]["contrasts"].get(contrast.name)
    return any(entry["seen"] == 0 and declared in entry["contrasts"].values() for entry in history)


def _warnings(results: Results, finding: Finding) -> Iterator[str]:
    if finding.flip is not None and finding.step is not None:
        yield from _unlike(finding.flip, finding.step)
    rule = results.inference
    lost = frozenset[int]().union(*(part.failed_seeds for part in finding.sides))
    if lost and len(lost & finding.differences.keys()) < len(finding.differences):
        left = _interval(finding, rule, rule.level, without=lost)
        yield f"without the failed seeds: {describe_interval(finding.scale, left)}"
    tests = results.test_images
    if finding.scale.factor == 100 and tests and finding.margin < 2 / tests:
        yield f"the margin is below twice the resolution of {tests} test images"


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


def _stamps(results: Results, finding: Finding) -> Iterator[str]:
    """Yield what narrows the claim of a finding beside its ruling."""
    yield from results.flaws
    unit, here, planned = finding.unit, len(finding.differences), len(finding.unit.seeds)
    if unit.groups is not None and here < planned:
        yield f"{here} of {planned} {unit.inner}s"
    images = max(side.overlap for side in finding.sides)
    if images:
        yield overlap_words(images)
    yield from unfinished(results, finding.contrast)
    yield from at_the_edge(results, finding.contrast)
    if finding.scale.factor == 100 and turns_on_the_logit(finding.sides, unit, results.test_images):
        yield "scale-dependent: the sign turns on the logit scale"
