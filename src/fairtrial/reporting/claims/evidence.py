"""One study and the claims -> what its recorded cells say of each part that it bears on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fairtrial.reporting.claims.claim_designs import arm, contrasts, every_setting
from fairtrial.reporting.claims.published_claims import (
    SHOWN,
    UNDECIDED,
    Claim,
    Part,
    answer,
    claims,
    distance,
    scale_of,
)
from fairtrial.reporting.results.load import Results, per_seed
from fairtrial.reporting.results.replication_units import unit_of
from fairtrial.reporting.verdicts.findings import Finding, decide, judge, measure
from fairtrial.reporting.verdicts.sentences import title
from fairtrial.reporting.wording import clean
from fairtrial.stats import clopper_pearson, ratio_interval, sd_interval
from fairtrial.stats.records import Interval
from fairtrial.study import factors
from fairtrial.study.contrast import corners
from fairtrial.study.failure_policy import DIVERGED
from fairtrial.study.limits import MIN_UNITS
from fairtrial.study.study import Contrast

METRIC = "test_acc"
_EXPLORATORY = "exploratory"


@dataclass(frozen=True)
class Evidence:
    """What one study says of one part of a claim.

    answer: supported, contradicted, undecided, or "shown" for a part that decides nothing. arms: in words.
    estimate, low, high: in the unit of the record, low and high at the level that decided; None where a
    verdict is refused, with the reason. scale: "same" or "scaled down". distance: to what is published.
    """

    claim: Claim
    part: Part
    results: Results
    answer: str
    scale: str
    arms: str
    reason: str = ""
    estimate: float | None = None
    low: float = -math.inf
    high: float = math.inf
    level: float = 0.95
    n: int = 0
    unit: str = "seed"
    stamps: tuple[str, ...] = ()

    @property
    def distance(self) -> float | None:
        """How far the estimate lies from what is published."""
        return None if self.estimate is None else distance(self.estimate, self.part.published)


def examine(results: Results, *, partial: bool = False) -> list[Evidence]:
    """Return every part of every claim that a study bears on, in the order of the ledger.

    Contrasts that the study declares come with the verdict of its family; the others are a family of their
    own, corrected by Holm, and stamped exploratory.
    """
    wanted = [
        (claim, part, contrast, own)
        for claim in claims()
        for part in claim.parts
        if part.measure == "contrast"
        for contrast, own in contrasts(part, results)
    ]
    findings = _findings(results, [(contrast, own) for _, _, contrast, own in wanted], partial)
    evidence = [
        _of_contrast(results, claim, part, findings[_key(contrast)], own)
        for claim, part, contrast, own in wanted
    ]
    evidence += [
        one for claim in claims() for part in claim.parts for one in _others(results, claim, part, partial)
    ]
    order = [part for claim in claims() for part in claim.parts]
    return sorted(evidence, key=lambda one: order.index(one.part))


def _findings(results: Results, asked: list[tuple[Contrast, bool]], partial: bool) -> dict[str, Finding]:
    declared = judge(results, partial=partial) if any(own for _, own in asked) else ()
    others = {_key(contrast): contrast for contrast, own in asked if not own}
    measured = [measure(results, contrast, partial=partial) for contrast in others.values()]
    return {_key(finding.contrast): finding for finding in (*declared, *decide(results, measured))}


def _key(contrast: Contrast) -> str:
    return f"{corners(contrast)} {contrast.metric}"


def _of_contrast(results: Results, claim: Claim, part: Part, finding: Finding, own: bool) -> Evidence:
    ruling, unit = finding.ruling, finding.unit
    inside = finding.verdict in ("equivalent", "different_but_negligible")
    refused = finding.verdict == "refused"
    low, high = (-math.inf, math.inf) if ruling is None or refused else (ruling.low, ruling.high)
    stamps = finding.stamps or (() if ruling is None else ruling.stamps)
    if not own and _EXPLORATORY not in stamps:
        stamps = (*stamps, _EXPLORATORY)
    answered = answer(part, low, high, margin=finding.margin, inside=inside, units=unit.checkpoints)
    few = part.unit is not None and (unit.checkpoints or 0) < MIN_UNITS
    return Evidence(
        claim=claim,
        part=part,
        results=results,
        answer=answered,
        scale=scale_of(claim, every_setting(results.study, finding.contrast)),
        arms=title(finding.contrast),
        reason=finding.reason if refused else f"fewer than {MIN_UNITS} {part.unit}s" if few else "",
        estimate=None if finding.interval is None or refused else finding.interval.estimate,
        low=low,
        high=high,
        level=0.95 if ruling is None or ruling.level is None else ruling.level,
        n=finding.n,
        unit=unit.name,
        stamps=stamps,
    )


def _others(results: Results, claim: Claim, part: Part, partial: bool) -> Iterator[Evidence]:
    """Yield the evidence of ratios of speed, spreads and rates."""
    if part.measure == "ratio":
        for contrast, _ in contrasts(part, results):
            yield _weighed(results, claim, part, every_setting(results.study, contrast), title(contrast),
                           _speed_ratio(results, contrast), partial)  # fmt: skip
    elif part.measure in ("sd", "rate"):
        levels = arm(part, results)
        if levels is not None:
            interval = _spread(results, levels) if part.measure == "sd" else _rate(results, levels)
            settings = [results.study.settings(levels).record()]
            yield _weighed(results, claim, part, settings, clean(factors.label(levels)), interval, partial)


def _weighed(
    results: Results,
    claim: Claim,
    part: Part,
    settings: list[dict[str, Any]],
    arms: str,
    interval: Interval | None,
    partial: bool,
) -> Evidence:
    scale, quiet = scale_of(claim, settings), SHOWN if part.rule == SHOWN else UNDECIDED
    if not (results.sound or partial) or interval is None:
        reason = "no finished run of it yet" if results.sound else results.unsound
        return Evidence(claim, part, results, quiet, scale, arms, reason)
    stamps = () if results.sound else (results.unsound,)
    return Evidence(
        claim, part, results, answer(part, interval.low, interval.high), scale, arms,
        reason=next(iter(interval.warnings), ""), estimate=interval.estimate, low=interval.low,
        high=interval.high, level=interval.level, n=interval.n, unit=interval.unit, stamps=stamps,
    )  # fmt: skip


def _speed_ratio(results: Results, contrast: Contrast) -> Interval | None:
    """Return images per second of the treatment over those of the control, paired on the seed."""
    both = [_rates(results, levels) for levels in corners(contrast)]
    seeds = [seed for seed in results.seeds if all(seed in rates for rates in both)]
    if not seeds:
        return None
    return ratio_interval({s: both[0][s] for s in seeds}, {s: both[1][s] for s in seeds})


def _rates(results: Results, levels: Mapping[str, Any]) -> dict[int, float]:
    """Return seed -> training images per second of its finished cells."""
    cells = results.where(levels)
    cells = cells[cells["status"] == "done"]
    spent: dict[int, list[float]] = {}
    for seed, examples, train_s in zip(cells["seed"], cells["examples"], cells["train_s"], strict=True):
        sums = spent.setdefault(int(seed), [0.0, 0.0])
        sums[0], sums[1] = sums[0] + float(examples), sums[1] + float(train_s)
    return {seed: examples / train_s for seed, (examples, train_s) in spent.items() if train_s > 0}


def _spread(results: Results, levels: Mapping[str, Any]) -> Interval | None:
    """Return the SD over the subsets of one checkpoint, pooled over checkpoints."""
    cells = results.where(levels)
    values, unit = per_seed(cells, METRIC), unit_of(results, cells)
    return sd_interval(values, groups=unit.labels(values), unit=unit.inner) if values else None


def _rate(results: Results, levels: Mapping[str, Any]) -> Interval | None:
    """Return the share of an arm's runs that diverged."""
    cells = results.where(levels)
    cells = cells[cells["ended"].astype(bool)]
    if not len(cells):
        return None
    return clopper_pearson(int((cells["status"] == DIVERGED).sum()), len(cells), unit="run")
