"""One study and the claims -> what its recorded cells say of each part that it bears on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from fairtrial.reporting.claims import price
from fairtrial.reporting.claims.claim_designs import arm, contrasts, every_setting
from fairtrial.reporting.claims.claim_entries import Evidence, Source
from fairtrial.reporting.claims.counted_units import RunKeys, units_of
from fairtrial.reporting.claims.published_claims import (
    SHOWN,
    UNDECIDED,
    Claim,
    Part,
    answer,
    claims,
    scale_of,
)
from fairtrial.reporting.results.load import Results, per_seed
from fairtrial.reporting.results.replication_units import ReplicationUnit, unit_of
from fairtrial.reporting.verdicts.captions import preset
from fairtrial.reporting.verdicts.chosen_settings import open_moves
from fairtrial.reporting.verdicts.findings import checked, judge, measure
from fairtrial.reporting.verdicts.rulings import Finding
from fairtrial.reporting.verdicts.sentences import title
from fairtrial.reporting.wording import clean, listed, plural
from fairtrial.stats import clopper_pearson, sd_interval
from fairtrial.stats.records import Interval
from fairtrial.study import factors
from fairtrial.study.contrast import corners
from fairtrial.study.failure_policy import DIVERGED
from fairtrial.study.limits import MIN_UNITS
from fairtrial.study.study import Contrast

METRIC = "test_acc"
_EXPLORATORY = "exploratory"


def examine(results: Results, keys: RunKeys, *, partial: bool = False) -> list[Evidence]:
    """Return every part of every claim that a study bears on, in the order of the ledger.

    Contrasts that the study declares come with the verdict of its family; the others are a family of their
    own, corrected by Holm, and stamped exploratory.
    """
    source = _source(results)
    wanted = [
        (claim, part, contrast, own)
        for claim in claims()
        for part in claim.parts
        if part.measure == "contrast"
        for contrast, own in contrasts(part, results)
    ]
    findings = _findings(results, [(contrast, own) for _, _, contrast, own in wanted], partial)
    evidence = []
    for claim, part, contrast, own in wanted:
        finding = findings[_key(contrast)]
        one = _of_contrast(results, source, claim, part, finding, own)
        if one.estimate is not None:
            cells = pd.concat([results.where(levels) for levels in corners(contrast)])
            one = replace(one, units=units_of(results, cells, finding.unit, finding.differences, keys))
        evidence.append(one)
    evidence += [
        one
        for claim in claims()
        for part in claim.parts
        if part.measure in ("sd", "rate")
        for one in _of_arm(results, source, claim, part, partial, keys)
    ]
    order = [part for claim in claims() for part in claim.parts]
    return sorted(evidence, key=lambda one: order.index(one.part))


def _source(results: Results) -> Source:
    study = results.study
    return Source(clean(study.name), study.preset, preset(study), study.budget)


def _findings(results: Results, asked: list[tuple[Contrast, bool]], partial: bool) -> dict[str, Finding]:
    declared = judge(results, partial=partial) if any(own for _, own in asked) else ()
    others = {_key(contrast): contrast for contrast, own in asked if not own}
    measured = [measure(results, contrast, partial=partial) for contrast in others.values()]
    return {_key(finding.contrast): finding for finding in (*declared, *checked(results, measured))}


def _key(contrast: Contrast) -> str:
    return f"{corners(contrast)} {contrast.metric}"


def _of_contrast(
    results: Results, source: Source, claim: Claim, part: Part, finding: Finding, own: bool
) -> Evidence:
    ruling, unit = finding.ruling, finding.unit
    refused = finding.verdict == "refused"
    low, high = (-math.inf, math.inf) if ruling is None or refused else (ruling.low, ruling.high)
    stamps = finding.stamps
    if not own and _EXPLORATORY not in stamps:
        stamps = (*stamps, _EXPLORATORY)
    answered, turned = _answer(part, finding, low, high), _turned(results, part, finding)
    few = part.unit is not None and (unit.checkpoints or 0) < MIN_UNITS
    settings = every_setting(results.study, finding.contrast)
    return Evidence(
        claim=claim,
        part=part,
        source=source,
        answer=UNDECIDED if turned else answered,
        scale=scale_of(claim, settings),
        arms=title(finding.contrast),
        reason=finding.reason if refused else f"fewer than {MIN_UNITS} {part.unit}s" if few else turned,
        estimate=None if finding.interval is None or refused else finding.interval.estimate,
        low=low,
        high=high,
        level=0.95 if ruling is None or ruling.level is None else ruling.level,
        n=finding.n,
        unit=unit.name,
        counted=unit.describe(finding.differences),
        stamps=stamps,
        price=price.of_contrast(results, part, finding) if answered == UNDECIDED else "",
        data=_data(settings),
    )


def _answer(part: Part, finding: Finding, low: float, high: float, move: float = 0.0) -> str:
    """Say what a finding says of a part with its intervals moved, by a fraction."""
    ruling, margin = finding.ruling, finding.margin
    inside = finding.verdict in ("equivalent", "different_but_negligible") and ruling is not None
    if inside and ruling is not None:
        inside = -margin < ruling.equivalence_low + move and ruling.equivalence_high + move < margin
    units = finding.unit.checkpoints
    return answer(part, low + move, high + move, margin=margin, inside=inside, units=units)


def _turned(results: Results, part: Part, finding: Finding) -> str:
    """Say what an open choice of the arms could make of a decided answer; empty where it stands.

    More units settle no choice: what would is a search with more tuning seeds.
    """
    ruling = finding.ruling
    if ruling is None or not finding.open_choices:
        return ""
    limits = ruling.low, ruling.high
    decided = _answer(part, finding, *limits)
    for move in open_moves(results, finding.contrast, finding.margin):
        if decided != UNDECIDED and (other := _answer(part, finding, *limits, move)) != decided:
            return (
                f"{decided} at the chosen settings, {other} if moved by {100 * move:+.1f} points, "
                "what validation saw at one that was not chosen"
            )
    return ""


def _data(settings: Iterable[Mapping[str, Any]]) -> str:
    """Return the data of these arms: 'digits'."""
    return listed([*dict.fromkeys(clean(each["data"]) for each in settings)])


def _of_arm(
    results: Results, source: Source, claim: Claim, part: Part, partial: bool, keys: RunKeys
) -> Iterator[Evidence]:
    """Yield the evidence of spreads and rates: what one arm did."""
    levels = arm(part, results)
    if levels is None:
        return
    cells = results.where(levels)
    cells = cells[cells["ended"].astype(bool)]
    # a study that fixes the whole arm has no level that names it
    unit, label = unit_of(results, cells), clean(factors.label(levels or part.design["arm"]))
    settings = [results.study.settings(levels).record()]
    scale = scale_of(claim, settings)
    found = _measured(part, cells, unit) if results.sound or partial else None
    if found is None:
        reason = "no finished run of it yet" if results.sound else results.unsound
        quiet = SHOWN if part.rule == SHOWN else UNDECIDED
        yield Evidence(claim, part, source, quiet, scale, label, reason)
        return
    interval, counted = found
    answered = answer(part, interval.low, interval.high)
    undecided_rate = part.measure == "rate" and answered == UNDECIDED
    if part.measure == "sd":  # n counts the images that were drawn, not the checkpoints below them
        unit = replace(unit, groups=None)
    yield Evidence(
        claim, part, source, answered, scale, label,
        reason=next(iter(interval.warnings), ""),
        estimate=interval.estimate if math.isfinite(interval.estimate) else None,
        low=interval.low, high=interval.high, level=interval.level,
        n=interval.n, unit=interval.unit, counted=counted,
        units=units_of(results, cells, unit, unit.seeds, keys),
        stamps=() if results.sound else (results.unsound,),
        price=price.of_rate(results, part, interval, unit) if undecided_rate else "",
        data=_data(settings),
    )  # fmt: skip


def _measured(part: Part, cells: pd.DataFrame, unit: ReplicationUnit) -> tuple[Interval, str] | None:
    """Return the interval of a spread or a rate, and what its n counts; None without a run."""
    values = per_seed(cells, METRIC)
    if not values:
        return None
    if part.measure == "sd":
        below = "" if unit.groups is None else f" of {unit.count(values)}{unit.short}"
        counted = plural(len(values), unit.inner) + below
        return sd_interval(values, groups=unit.labels(values), unit=unit.inner), counted
    seeds = [int(seed) for seed in cells["seed"]]
    lost = [int(seed) for seed in cells[cells["status"] == DIVERGED]["seed"]]
    return clopper_pearson(unit.count(lost), unit.count(seeds), unit=unit.name), unit.describe(seeds)
