"""Each declared contrast -> what the recorded cells say about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fairtrial.reporting.results.contrast_sides import sides, turns_on_the_logit
from fairtrial.reporting.results.contrast_sides import unit_of_contrast as unit_of
from fairtrial.reporting.results.convergence import unfinished
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.results.paired_sides import ContrastSide, differences
from fairtrial.reporting.results.replication_units import ReplicationUnit
from fairtrial.reporting.verdicts import rulings
from fairtrial.reporting.verdicts.chosen_settings import open_choices
from fairtrial.reporting.verdicts.fairness_checks import contrast_checks
from fairtrial.reporting.verdicts.rulings import Finding, limits_of, lost_pairs, with_checks
from fairtrial.reporting.wording import SCALES, overlap_words
from fairtrial.storage.declaration import registered
from fairtrial.study.budget import parity_gap
from fairtrial.study.limits import LOWER_IS_BETTER
from fairtrial.study.study import Contrast


def judge(results: Results, *, partial: bool = False) -> tuple[Finding, ...]:
    """Judge the declared contrasts; Holm runs over all of them, for differences and for equivalences.

    An incomplete study, or one with flawed records, is refused every verdict unless `partial`. Complete pairs
    are then used; the analysis is stamped exploratory, because it was not declared, and with what is wrong
    with the records.
    """
    measured = [measure(results, contrast, partial=partial) for contrast in results.study.contrasts]
    return checked(results, measured)


def checked(results: Results, measured: Sequence[Finding]) -> tuple[Finding, ...]:
    """Decide contrasts of a study, and say of each what narrows its claim."""
    decided = (
        replace(one, open_choices=tuple(open_choices(results, one.contrast, one.margin)))
        for one in decide(results, measured)
    )
    return tuple(
        finding
        if finding.ruling is None
        else with_checks(finding, results.inference, _stamps(results, finding), _resolution(results, finding))
        for finding in decided
    )


def decide(results: Results, measured: Sequence[Finding]) -> list[Finding]:
    """Decide contrasts of a study: the same with their rulings; Holm runs over all of them."""
    return rulings.decide(
        measured,
        results.inference,
        lambda finding: {
            "higher_is_better": finding.contrast.metric not in LOWER_IS_BETTER,
            "declared": results.complete and registered(results.declared["history"], finding.contrast.name),
            "cost_s": unit_cost(results, finding.unit),
        },
    )


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
    return replace(finding, interval=limits_of(finding, rule, rule.level), stamps=open_notes)


def _incomplete(results: Results, parts: Sequence[ContrastSide], *, partial: bool) -> str:
    """Say why a contrast is refused for what is missing: any cell, or, if `partial`, too many pairs."""
    if not partial:
        return "" if results.sound else results.unsound
    return lost_pairs(parts, len(differences(parts, results.seeds)))


def _analysis(results: Results, unit: ReplicationUnit) -> str:
    """Return 'interim analysis 1 of 3', 'read after every seed'; nothing without a stopping rule."""
    stop = results.study.rule
    if stop is None:
        return ""
    if stop.sequence:
        return "read after every seed"
    return f"interim analysis {stop.looks.index(len(unit.seeds)) + 1} of {len(stop.looks)}"


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


def unit_cost(results: Results, unit: ReplicationUnit) -> float | None:
    """Return the device-seconds that one more unit of every arm costs here; upstream costs are not known."""
    return None if results.block_s is None else results.block_s * len(unit.seeds) / unit.planned


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
    yield from finding.open_choices
    if finding.scale.factor == 100 and turns_on_the_logit(finding.sides, unit, results.test_images):
        yield "scale-dependent: the sign turns on the logit scale"


def _resolution(results: Results, finding: Finding) -> Iterator[str]:
    """Yield that the test set is too small for the margin, where it is."""
    tests = results.test_images
    if finding.scale.factor == 100 and tests and finding.margin < 2 / tests:
        yield f"the margin is below twice the resolution of {tests} test images"
