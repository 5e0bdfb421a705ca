"""The claims ledger: what papers claim, and what the recorded studies say of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from fairtrial.errors import BAD_INPUT, did_you_mean, fault
from fairtrial.reporting.claims.evidence import Evidence, examine
from fairtrial.reporting.claims.published_claims import (
    NOT_COMPARABLE,
    SAME,
    SHOWN,
    Claim,
    Part,
    claims,
    together,
)
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.verdicts import study_verdicts
from fairtrial.reporting.verdicts.captions import preset
from fairtrial.reporting.verdicts.interim_analyses import open_study
from fairtrial.reporting.wording import SCALES, clean, fixed
from fairtrial.stats.records import plain
from fairtrial.storage.store import Store
from fairtrial.storage.study_folders import find_studies

_POINTS: Final = SCALES["test_acc"]


@dataclass(frozen=True)
class ClaimEntry:
    """A claim with what every study says of it; answer: one of fairtrial.claims.ANSWERS."""

    claim: Claim
    evidence: tuple[Evidence, ...]
    answer: str
    scale: str

    @property
    def lacking(self) -> tuple[str, ...]:
        """The parts that decide, and that no study measures."""
        held = {evidence.part.name for evidence in self.evidence}
        return tuple(p.name for p in self.claim.parts if p.rule != SHOWN and p.name not in held)


def entries(studies: Sequence[Results], *, partial: bool = False) -> list[ClaimEntry]:
    """Return every claim with its evidence. Where one has the published setting, only such studies decide."""
    evidence = [one for results in studies for one in examine(results, partial=partial)]
    return [_entry(claim, [one for one in evidence if one.claim is claim]) for claim in claims()]


def ledger(studies: Sequence[Results], *, partial: bool = False) -> Table:
    """Return one row per claim, part and study; one that no study bears on says what it needs."""
    rows = [row for entry in entries(studies, partial=partial) for row in _rows(entry)]
    caption = (
        "Claims ledger: published claims beside what the recorded studies say. Intervals decide at the level "
        "of their Holm step (paired t, contrasts), else at 95 %: t on log ratios, chi-squared for SDs, "
        "Clopper-Pearson for rates. Distance: ours minus published, 0 within a published range. "
        "A scaled-down setting is no repetition of the published one, and a laptop preset's result is not a "
        "BiT result."
    )
    return Table("claims", caption, pd.DataFrame(rows), marked=("claim says", "scale"))


def sentences(studies: Sequence[Results], *, partial: bool = False, bearing: bool = False) -> list[str]:
    """Return the ledger in sentences, one per claim. bearing: only claims that these studies bear on."""
    every = entries(studies, partial=partial)
    return [_sentence(entry) for entry in every if entry.evidence or not bearing]


def record(
    studies: Sequence[Results], *, partial: bool = False, bearing: bool = False
) -> list[dict[str, Any]]:
    """Return the ledger, ready for JSON."""
    kept = [entry for entry in entries(studies, partial=partial) if entry.evidence or not bearing]
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
            "evidence": [_record(evidence) for evidence in entry.evidence],
        }
        for entry in kept
    ]


def _entry(claim: Claim, evidence: list[Evidence]) -> ClaimEntry:
    deciding = [one for one in evidence if one.part.rule != SHOWN]
    same = [one for one in deciding if one.scale == SAME]
    parts = [part for part in claim.parts if part.rule != SHOWN]
    answers = [[one.answer for one in same or deciding if one.part is part] for part in parts]
    scale = NOT_COMPARABLE if not deciding else SAME if same else deciding[0].scale
    return ClaimEntry(claim, tuple(evidence), together(answers), scale)


def _rows(entry: ClaimEntry) -> list[dict[str, str]]:
    claim = entry.claim
    first = {"claim": claim.claim, "figure": claim.figure, "claim says": entry.answer}
    if not entry.evidence:
        own = _range(claim.published, None)
        return [_row(first, scale=entry.scale, published=own, note=f"needs {claim.needs}")]
    return [_row(first, **_cells(evidence)) for evidence in entry.evidence]


def _row(first: dict[str, str], **cells: str) -> dict[str, str]:
    names = (
        "part", "study", "arms", "says", "measured", "interval", "n", "budget", "scale", "published",
        "distance", "note",
    )  # fmt: skip
    return {**first, **{name: cells.get(name, "") for name in names}}


def _cells(evidence: Evidence) -> dict[str, str]:
    study = evidence.results.study
    return {
        "part": evidence.part.name,
        "study": f"{clean(study.name)} ({clean(study.preset)})",
        "arms": evidence.arms,
        "says": evidence.answer,
        "measured": "" if evidence.estimate is None else show(evidence.part, evidence.estimate),
        "interval": _interval(evidence),
        "n": f"{evidence.n} {evidence.unit}{'s' if evidence.n != 1 else ''}",
        "budget": study.budget.words,
        "scale": evidence.scale,
        "published": _range(evidence.part.published, evidence.part),
        "distance": "" if evidence.distance is None else _signed(evidence.part, evidence.distance),
        "note": "; ".join([*evidence.stamps, *([clean(evidence.reason)] if evidence.reason else [])]),
    }


def _sentence(entry: ClaimEntry) -> str:
    claim = entry.claim
    head = (
        f"{claim.claim[0].upper()}{claim.claim[1:]} ({claim.figure}): {entry.answer}, setting {entry.scale}."
    )
    texts = [head, *(_words(evidence) for evidence in entry.evidence)]
    if not entry.evidence and claim.published:
        texts.append(f"Published: {_range(claim.published, None)}.")
    if not entry.evidence:
        texts.append(f"Needs {claim.needs}.")
    elif entry.lacking:
        texts.append(f"No study measures: {'; '.join(entry.lacking)}. Needs {claim.needs}.")
    return " ".join([*texts, *(f"Caution: {caution}." for caution in claim.cautions)])


def _words(evidence: Evidence) -> str:
    """Return one study's evidence in a sentence; the preset says what it may be called."""
    cells, study = _cells(evidence), evidence.results.study
    name = f"{evidence.part.name[0].upper()}{evidence.part.name[1:]}, study {clean(study.name)}"
    value = f"{cells['measured']} {cells['interval']}".strip() or "no number"
    published = f"; published {cells['published']}, distance {cells['distance']}" if cells["distance"] else ""
    note = f" ({cells['note']})" if cells["note"] else ""
    return (
        f"{name}: {evidence.answer}, {value}, n = {cells['n']}, {cells['budget']}{published}{note}; "
        f"{preset(study)}."
    )


def _interval(evidence: Evidence) -> str:
    if not (math.isfinite(evidence.low) and math.isfinite(evidence.high)):
        return ""
    low, high = (show(evidence.part, value, unit=False) for value in (evidence.low, evidence.high))
    return f"[{low}, {high}] at {100 * evidence.level:.4g} %"


def show(part: Part | None, value: float, *, unit: bool = True) -> str:
    """Return a number of a part with its unit: '5.5 points', 'x0.63', '0.0 %'."""
    if part is not None and part.measure == "ratio":
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
    study = evidence.results.study
    return {
        "part": evidence.part.name,
        "study": study.name,
        "preset": study.preset,
        "called": preset(study),
        "arms": evidence.arms,
        "answer": evidence.answer,
        "estimate": plain(evidence.estimate),
        "low": plain(evidence.low),
        "high": plain(evidence.high),
        "level": evidence.level,
        "n": evidence.n,
        "unit": evidence.unit,
        "budget": str(study.budget),
        "scale": evidence.scale,
        "published": list(evidence.part.published),
        "distance": plain(evidence.distance),
        "reason": evidence.reason,
        "stamps": list(evidence.stamps),
    }


def answer_verdict(
    store: Store, contrast: str | None, *, allow_partial: bool = False
) -> tuple[dict[str, Any], list[str], bool]:
    """Return the verdict sentences, then the claims on which a study bears; of one contrast its sentence.

    As data, as lines, and whether the study is complete. An unknown contrast is a Fault.
    """
    texts, complete = study_verdicts.sentences(store, partial=allow_partial)
    results = open_study(store.folder, partial=allow_partial)
    names = [declared.name for declared in results.study.contrasts]
    if contrast is not None:
        if contrast not in names:
            what = f"no contrast is called {contrast!r}{did_you_mean(contrast, names)}"
            raise fault(what, f"CONTRAST of the study {store.name}", f"declared: {', '.join(names)}")
        one = [texts[names.index(contrast)]]
        return {"sentences": one}, one, complete
    bearing = record([results], partial=allow_partial, bearing=True)
    sentences_of_claims = sentences([results], partial=allow_partial, bearing=True)
    return (
        {"sentences": texts, "claims": bearing},
        [*texts, *(f"Claim: {text}" for text in sentences_of_claims)],
        complete,
    )


def answer_claims(where: Sequence[Path], *, allow_partial: bool = False) -> tuple[dict[str, Any], list[str]]:
    """Return the whole ledger over every study in these folders, as data and as lines."""
    folders = find_studies(where)
    if not folders:
        do = "run a study first, or name another folder with --results"
        raise fault("no study is recorded here", ", ".join(map(str, where)), do, BAD_INPUT)
    studies = [open_study(folder, partial=allow_partial) for folder in folders]
    lines = sentences(studies, partial=allow_partial)
    return {"claims": record(studies, partial=allow_partial)}, lines
