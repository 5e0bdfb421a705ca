"""The claims ledger: what papers claim, and what the recorded studies say of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pandas as pd

from fairtrial.reporting.claims.claim_entries import ClaimEntry, Evidence
from fairtrial.reporting.claims.published_claims import Part
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.wording import SCALES, capital, clean, fixed, plural
from fairtrial.stats.records import plain

_POINTS: Final = SCALES["test_acc"]


def ledger(entries: Sequence[ClaimEntry]) -> Table:
    """Return one row per claim, part and study; one that no study bears on says what it needs."""
    rows = [row for entry in entries for row in _rows(entry)]
    caption = (
        "Claims ledger: published claims beside what the recorded studies say. Intervals decide at the level "
        "of their Holm step (paired t, contrasts), else at 95 %: t on log ratios, chi-squared for SDs, "
        "Clopper-Pearson for rates. n counts units; runs that two studies share count once. Distance: ours "
        "minus published, 0 within a published range. A scaled-down setting is no repetition of the "
        "published one, and a laptop preset's result is not a BiT result."
    )
    return Table("claims", caption, pd.DataFrame(rows), marked=("claim says", "scale"))


def sentences(entries: Sequence[ClaimEntry], *, with_evidence: bool = False) -> list[str]:
    """Return the ledger in words, several lines a claim. with_evidence: no claim without."""
    return ["\n".join(_lines(entry)) for entry in entries if entry.evidence or not with_evidence]


def record(entries: Sequence[ClaimEntry], *, with_evidence: bool = False) -> list[dict[str, Any]]:
    """Return the ledger, ready for JSON."""
    kept = [entry for entry in entries if entry.evidence or not with_evidence]
    return [
        {
            "id": entry.claim.id,
            "claim": entry.claim.claim,
            "figure": entry.claim.figure,
            "supported_when": entry.claim.rule,
            "answer": entry.answer,
            "scale": entry.scale,
            "lacking": list(entry.lacking),
            "needs": entry.claim.needs if entry.lacking or not entry.evidence else "",
            "cautions": list(entry.claim.cautions),
            "published": list(entry.claim.published),
            "parts": [{"part": p.part.name, "answer": p.answer, "units": p.units} for p in entry.parts],
            "evidence": [_record(evidence) for evidence in entry.evidence],
        }
        for entry in kept
    ]


def _rows(entry: ClaimEntry) -> list[dict[str, str]]:
    claim = entry.claim
    first = {"claim": claim.claim, "figure": claim.figure, "claim says": entry.answer}
    if not entry.evidence:
        own = _range(claim.published, None)
        return [_row(first, scale=entry.scale, published=own, note=f"needs {claim.needs}")]
    return [
        _row(first | {"part": part.part.name, "part says": part.answer}, **_cells(evidence))
        for part in entry.parts
        for evidence in part.evidence
    ]


def _row(first: dict[str, str], **cells: str) -> dict[str, str]:
    names = (
        "claim", "figure", "claim says", "part", "part says", "study", "arms", "says", "measured", "interval",
        "n", "to decide", "budget", "scale", "published", "distance", "note",
    )  # fmt: skip
    return dict.fromkeys(names, "") | first | cells


def _cells(evidence: Evidence) -> dict[str, str]:
    counted = [f"the same runs as {evidence.same_as}, counted there"] if evidence.same_as else []
    counted += [f"{plural(runs, 'run')} shared with {label}" for label, runs in evidence.shares]
    reason = [clean(evidence.reason)] if evidence.reason else []
    return {
        "study": evidence.source.label,
        "arms": evidence.arms,
        "says": evidence.answer,
        "measured": "" if evidence.estimate is None else show(evidence.part, evidence.estimate),
        "interval": _interval(evidence),
        "n": evidence.counted or "none",
        "to decide": evidence.price,
        "budget": "" if evidence.source.budget is None else evidence.source.budget.words,
        "scale": evidence.scale,
        "published": _range(evidence.part.published, evidence.part),
        "distance": "" if evidence.distance is None else _signed(evidence.part, evidence.distance),
        "note": "; ".join([*evidence.stamps, *reason, *counted]),
    }


def _lines(entry: ClaimEntry) -> Iterator[str]:
    """Yield the claim, a line for each part and each study on it, and what stands against them."""
    claim, parts = entry.claim, f" ({entry.decided})" if entry.evidence else ""
    yield f"{capital(claim.claim)} ({claim.figure}): {entry.answer}{parts}, setting {entry.scale}."
    for part in (part for part in entry.parts if part.evidence):
        counted = f", n = {part.counted}" if part.counted else ""
        yield f"  {capital(part.part.name)}: {part.answer}{counted}."
        yield from (f"    {_words(evidence)}" for evidence in part.evidence)
    if not entry.evidence and claim.published:
        yield f"  Published: {_range(claim.published, None)}."
    if entry.evidence and entry.lacking:
        yield f"  Nothing recorded measures: {'; '.join(entry.lacking)}."
    if entry.lacking or not entry.evidence:
        yield f"  Needs {claim.needs}."
    yield from (f"  Caution: {caution}." for caution in claim.cautions)


def _words(evidence: Evidence) -> str:
    """Return one study's evidence in a sentence; its preset, or its device, says what it may be called."""
    cells = _cells(evidence)
    value = f"{cells['measured']} {cells['interval']}".strip() or "no number"
    published = f"; published {cells['published']}, distance {cells['distance']}" if cells["distance"] else ""
    note = f" ({cells['note']})" if cells["note"] else ""
    budget = f", {cells['budget']}" if cells["budget"] else ""
    price = f"; to decide, about {evidence.price}" if evidence.price else ""
    return (
        f"{capital(cells['study'])}, {cells['arms']}: {evidence.answer}, {value}, n = {cells['n']}{budget}"
        f"{price}{published}{note}; {evidence.source.called}."
    )


def _interval(evidence: Evidence) -> str:
    if not (math.isfinite(evidence.low) and math.isfinite(evidence.high)):
        return ""
    low, high = (show(evidence.part, value, unit=False) for value in (evidence.low, evidence.high))
    return f"[{low}, {high}] at {100 * evidence.level:.4g} %"


def show(part: Part | None, value: float, *, unit: bool = True) -> str:
    """Return a number of a part with its unit: '5.5 points', 'x0.63', '0.0 %'."""
    if part is not None and part.measure in ("ratio", "probe"):
        return f"{'x' if unit else ''}{fixed(value, 2)}"
    text = _POINTS.show(value)
    ending = " %" if part is not None and part.measure == "rate" else f" {_POINTS.unit}"
    return text + (ending if unit else "")


def _signed(part: Part, value: float) -> str:
    text = show(part, value, unit=False)
    return text if text.startswith("-") or value == 0 else f"+{text}"


def _range(values: Sequence[float], part: Part | None) -> str:
    """Return published values with the digits of their source; a quotient of two with two digits."""
    ends = dict.fromkeys((min(values), max(values))) if values else ()
    ratio = part is not None and part.measure == "ratio"
    texts = (show(part, value) if ratio else f"{round(100 * value, 2):g} {_POINTS.unit}" for value in ends)
    return " to ".join(texts)


def _record(evidence: Evidence) -> dict[str, Any]:
    return {
        "part": evidence.part.name,
        "study": evidence.source.name,
        "preset": evidence.source.preset,
        "called": evidence.source.called,
        "arms": evidence.arms,
        "answer": evidence.answer,
        "estimate": plain(evidence.estimate),
        "low": plain(evidence.low),
        "high": plain(evidence.high),
        "level": evidence.level,
        "n": evidence.n,
        "unit": evidence.unit,
        "budget": "" if evidence.source.budget is None else str(evidence.source.budget),
        "scale": evidence.scale,
        "published": list(evidence.part.published),
        "distance": plain(evidence.distance),
        "to_decide": evidence.price,
        "reason": evidence.reason,
        "stamps": list(evidence.stamps),
        "same_as": evidence.same_as,
        "shares": dict(evidence.shares),
    }
