"""Which arm leads along its schedule, in words: the sentence, its units, its caution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from fairtrial.reporting.results.load import Results
from fairtrial.reporting.verdicts.captions import counted
from fairtrial.reporting.verdicts.learning_curve_crossover import (
    IMAGES,
    SECONDS,
    STEPS,
    Crossover,
    LeadCurve,
    Span,
    find_gaps,
)
from fairtrial.reporting.verdicts.sentences import arms
from fairtrial.reporting.wording import SCALES, capital, clean, fixed, listed, rounded

SCALE: Final = SCALES["val_acc"]
_ONE: Final = {STEPS: "step", IMAGES: "image", SECONDS: "second"}
CAUTION: Final = (
    "A point at a quarter of the budget is no run with a quarter of the budget: the learning rate has not "
    "fallen yet. Seconds are of training alone, on the machine that ran it"
)


def describe_crossovers(crossovers: Sequence[Crossover]) -> str:
    """Return one sentence for each contrast: who leads, where the lead changes hands."""
    return " ".join(f"{_sentence(crossover)}." for crossover in crossovers)


def _sentence(crossover: Crossover) -> str:
    names = arms(crossover.contrast)
    clocks: dict[str, list[str]] = {}
    for curve in crossover.curves:
        clocks.setdefault(describe_leads(curve, names[:2]), []).append(f"by {curve.clock}")
    leads = [f"{listed(by)}, {text}" for text, by in clocks.items()]
    absent = [f"not shown by seconds: {crossover.no_seconds}"] if crossover.no_seconds else []
    name = crossover.contrast.name
    return f"{clean(capital(name))}: {'; '.join([*leads, *absent])}"


def describe_leads(curve: LeadCurve, names: Sequence[str]) -> str:
    """Say who leads along one clock, and where the lead changes hands, with its confidence set."""
    turns = format_places(curve, [(at, at) for at in curve.changes])
    if curve.band is None:
        where = f"changes sign at {turns}" if turns else "never changes sign"
        return f"no crossing shown: without an interval, the mean difference {where}"
    if not curve.undecided:
        return f"{names[0] if curve.ahead[0] > 0 else names[1]} leads at every point"
    if curve.crosses:
        return f"the lead changes hands at {turns} (confidence set: {format_places(curve, curve.undecided)})"
    ahead = next((sign for sign in curve.ahead if sign), 0)
    if not ahead:
        return "no crossing shown: the band contains 0 at every point"
    leader, sure = names[0] if ahead > 0 else names[1], find_gaps(curve.undecided, *curve.range)
    where = format_places(curve, sure)
    return f"no crossing shown: {leader} leads at {where}, and elsewhere the band contains 0"


def format_places(curve: LeadCurve, spans: Sequence[Span]) -> str:
    """Return 'step 512', 'seconds 0.61 to 1.3 and 1.8 to 2.1'; empty without any."""
    if not spans:
        return ""
    texts = [
        at if at == to else f"{at} to {to}"
        for at, to in ([format_place(curve.clock, x) for x in s] for s in spans)
    ]
    several = len(texts) > 1 or " to " in texts[0]
    return f"{_ONE[curve.clock]}{'s' if several else ''} {listed(texts)}"


def format_place(clock: str, value: float) -> str:
    """Return a place on a clock: '512', '0.61'."""
    return rounded(value, 3) if clock == SECONDS else fixed(value, 0)


def describe_accuracies(crossovers: Sequence[Crossover]) -> str:
    """Say how many images an accuracy is of, as far as the records tell."""
    counts = sorted({count for curve in list_curves(crossovers) for count in curve.images if count})
    many = (
        f"{' or '.join(f'{count:,}' for count in counts)} validation images"
        if counts
        else "validation images"
    )
    spent = [
        f"{name} {rounded(low, 3)} to {rounded(high, 3)}"
        for crossover in crossovers
        for name, (low, high) in zip(_names(crossover), crossover.seconds, strict=True)
        if math.isfinite(low)
    ]
    took = f" Seconds that runs took: {listed(list(dict.fromkeys(spent)))}." if spent else ""
    return f"Accuracies are of {many}, the split that selection uses, and never of test images.{took}"


def _names(crossover: Crossover) -> list[str]:
    """Return treatment and control, each with the levels that they share."""
    *pair, at = arms(crossover.contrast)
    return [f"{name}{at}" for name in pair]


def count_units(results: Results, crossovers: Sequence[Crossover]) -> str:
    """Say what n counts, of the contrasts drawn."""
    units = {curve.unit.describe(curve.unit.seeds): curve.unit for curve in list_curves(crossovers)}
    return counted(results, [(unit, "") for unit in units.values()])


def list_curves(crossovers: Sequence[Crossover]) -> list[LeadCurve]:
    """Return the curves of all crossovers."""
    return [curve for crossover in crossovers for curve in crossover.curves]
