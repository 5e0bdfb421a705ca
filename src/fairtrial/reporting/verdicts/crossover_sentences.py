"""Which arm leads along its schedule, in words: the sentence, its units, its caution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from fairtrial.reporting.results.load import Results
from fairtrial.reporting.verdicts import sign_changes
from fairtrial.reporting.verdicts.captions import counted
from fairtrial.reporting.verdicts.learning_curve_crossover import IMAGES, SECONDS, STEPS, Lead, Race
from fairtrial.reporting.verdicts.sentences import arms
from fairtrial.reporting.verdicts.sign_changes import Span
from fairtrial.reporting.wording import SCALES, clean, fixed, listed, rounded

SCALE: Final = SCALES["val_acc"]
_ONE: Final = {STEPS: "step", IMAGES: "image", SECONDS: "second"}
CAUTION: Final = (
    "A point at a quarter of the budget is no run with a quarter of the budget: the learning rate has not "
    "fallen yet. Seconds are of training alone, on the machine that ran it"
)


def said(found: Sequence[Race]) -> str:
    """One sentence for each contrast: who leads, where the lead changes hands."""
    return " ".join(f"{_sentence(race)}." for race in found)


def _sentence(race: Race) -> str:
    names = arms(race.contrast)
    clocks: dict[str, list[str]] = {}
    for lead in race.leads:
        clocks.setdefault(told_of(lead, names[:2]), []).append(f"by {lead.clock}")
    told = [f"{listed(by)}, {text}" for text, by in clocks.items()]
    unsaid = [f"not shown by seconds: {race.unsaid}"] if race.unsaid else []
    return f"{clean(race.contrast.name[:1].upper() + race.contrast.name[1:])}: {'; '.join([*told, *unsaid])}"


def told_of(lead: Lead, names: Sequence[str]) -> str:
    """Who leads along one clock, and where the lead changes hands, with its confidence set."""
    turns = places(lead, [(at, at) for at in lead.changes])
    if lead.band is None:
        where = f"changes sign at {turns}" if turns else "never changes sign"
        return f"no crossing shown: without an interval, the mean difference {where}"
    if not lead.undecided:
        return f"{names[0] if lead.ahead[0] > 0 else names[1]} leads at every point"
    if lead.crosses:
        return f"the lead changes hands at {turns} (confidence set: {places(lead, lead.undecided)})"
    ahead = next((sign for sign in lead.ahead if sign), 0)
    if not ahead:
        return "no crossing shown: the band contains 0 at every point"
    sure = sign_changes.between(lead.undecided, *lead.range)
    leader = names[0] if ahead > 0 else names[1]
    return f"no crossing shown: {leader} leads at {places(lead, sure)}, and elsewhere the band contains 0"


def places(lead: Lead, spans: Sequence[Span]) -> str:
    """'step 512', 'seconds 0.61 to 1.3 and 1.8 to 2.1'; empty without any."""
    if not spans:
        return ""
    told = [
        at if at == to else f"{at} to {to}"
        for at, to in ([place_of(lead.clock, x) for x in s] for s in spans)
    ]
    several = len(told) > 1 or " to " in told[0]
    return f"{_ONE[lead.clock]}{'s' if several else ''} {listed(told)}"


def place_of(clock: str, value: float) -> str:
    """A place on a clock: '512', '0.61'."""
    return rounded(value, 3) if clock == SECONDS else fixed(value, 0)


def read(found: Sequence[Race]) -> str:
    """How many images an accuracy is of, as far as the records tell."""
    counts = sorted({count for race in found for lead in race.leads for count in lead.images if count})
    many = (
        f"{' or '.join(f'{count:,}' for count in counts)} validation images"
        if counts
        else "validation images"
    )
    spent = [
        f"{name} {rounded(low, 3)} to {rounded(high, 3)}"
        for race in found
        for name, (low, high) in zip(_names(race), race.seconds, strict=True)
        if math.isfinite(low)
    ]
    took = f" Seconds that runs took: {listed(list(dict.fromkeys(spent)))}." if spent else ""
    return f"Accuracies are of {many}, the split that selection uses, and never of test images.{took}"


def _names(race: Race) -> list[str]:
    """Treatment and control, each with the levels that they share."""
    *pair, at = arms(race.contrast)
    return [f"{name}{at}" for name in pair]


def units(results: Results, found: Sequence[Race]) -> str:
    """What n counts, of the contrasts drawn."""
    every = {lead.unit.told(lead.unit.seeds): lead.unit for race in found for lead in race.leads}
    return counted(results, [(unit, "") for unit in every.values()])
