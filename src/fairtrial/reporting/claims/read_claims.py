"""Recorded studies and benches -> every claim with what they say of its parts, each run counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fairtrial.errors import BAD_INPUT, did_you_mean, fault
from fairtrial.measurements import measurement_record
from fairtrial.reporting.claims import cost_evidence, probe_evidence
from fairtrial.reporting.claims.claim_entries import ClaimEntry, Evidence, PartEntry
from fairtrial.reporting.claims.counted_units import RunKeys, runs_of
from fairtrial.reporting.claims.evidence import examine
from fairtrial.reporting.claims.ledger import record, sentences
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
from fairtrial.reporting.results.timings import Timing, read_timings, timing_folders
from fairtrial.reporting.verdicts import study_verdicts
from fairtrial.reporting.verdicts.interim_analyses import open_study
from fairtrial.storage.integrity import Record
from fairtrial.storage.store import Store
from fairtrial.storage.study_folders import find_studies


@dataclass(frozen=True)
class Recorded:
    """What the ledger reads. benches: name of a device -> its timings; probes: name -> its record."""

    studies: Sequence[Results]
    benches: Mapping[str, Sequence[Timing]] = field(default_factory=dict)
    partial: bool = False
    probes: Mapping[str, Record] = field(default_factory=dict)


def entries(recorded: Recorded) -> list[ClaimEntry]:
    """Return every claim with its evidence. Where some has the published setting, only that decides."""
    keys = RunKeys()
    found = [one for results in recorded.studies for one in examine(results, keys, partial=recorded.partial)]
    found += [*cost_evidence.examine(recorded.benches), *probe_evidence.examine(recorded.probes)]
    return [_entry(claim, [one for one in found if one.claim is claim]) for claim in claims()]


def _entry(claim: Claim, evidence: Sequence[Evidence]) -> ClaimEntry:
    of_part = [
        (part, tuple(counted_once([one for one in evidence if one.part is part]))) for part in claim.parts
    ]
    voting = [one for _, each in of_part for one in each if one.votes]
    same = [one for one in voting if one.scale == SAME]
    parts = tuple(PartEntry(part, each, _answer(part, each, same or voting)) for part, each in of_part)
    scale = NOT_COMPARABLE if not voting else SAME if same else voting[0].scale
    return ClaimEntry(claim, parts, together([[part.answer] for part in parts]), scale)


def _answer(part: Part, evidence: Sequence[Evidence], voting: Sequence[Evidence]) -> str:
    return SHOWN if part.rule == SHOWN else together([[one.answer] for one in evidence if one in voting])


def counted_once(evidence: Sequence[Evidence]) -> Iterator[Evidence]:
    """Yield the evidence of a part; one whose every run is in earlier evidence is marked so."""
    seen: dict[str, str] = {}
    for one in evidence:
        own = runs_of(one.units)
        common = Counter(seen[run] for run in sorted(own) if run in seen)
        seen |= {run: one.source.label for run in own if run not in seen}
        if own and common.total() == len(own):
            yield replace(one, same_as=next(iter(common)))
        else:
            yield replace(one, shares=tuple(common.items()))


def answer_verdict(
    store: Store, contrast: str | None, *, allow_partial: bool = False
) -> tuple[dict[str, Any], list[str], bool]:
    """Return the verdict sentences, then the claims on which a study bears; of one contrast its sentence.

    As data, as lines, and whether the study is complete. An unknown contrast is a Fault.
    """
    results = open_study(store.folder, partial=allow_partial)
    texts, complete = study_verdicts.sentences(results, partial=allow_partial), results.complete
    names = [declared.name for declared in results.study.contrasts]
    if contrast is not None:
        if contrast not in names:
            what = f"no contrast is called {contrast!r}{did_you_mean(contrast, names)}"
            raise fault(what, f"CONTRAST of the study {store.name}", f"declared: {', '.join(names)}")
        one = [texts[names.index(contrast)]]
        return {"sentences": one}, one, complete
    found = entries(Recorded([results], partial=allow_partial))
    lines = _split(f"Claim: {text}" for text in sentences(found, with_evidence=True))
    return {"sentences": texts, "claims": record(found, with_evidence=True)}, [*texts, *lines], complete


def answer_claims(where: Sequence[Path], *, allow_partial: bool = False) -> tuple[dict[str, Any], list[str]]:
    """Return the whole ledger over every study and bench in these folders, as data and as lines."""
    folders = find_studies(where)
    benches = read_benches(where)
    if not folders and not benches:
        do = "run a study first, or name another folder with --results"
        raise fault("no study is recorded here", ", ".join(map(str, where)), do, BAD_INPUT)
    studies = [open_study(folder, partial=allow_partial) for folder in folders]
    found = entries(Recorded(studies, benches, allow_partial, read_probes(where)))
    return {"claims": record(found)}, _split(sentences(found))


def _split(texts: Iterable[str]) -> list[str]:
    """Return the lines of texts: a command writes out what would break a line of its own."""
    return [line for text in texts for line in text.split("\n")]


def read_probes(where: Iterable[Path]) -> dict[str, Record]:
    """Return the probes that claims rest on, of the first of these folders of results that has each."""
    found: dict[str, Record] = {}
    for part in (part for claim in claims() for part in claim.parts if part.measure == "probe"):
        name = part.design["probe"]
        for path in (measurement_record.path_of(place, name) for place in where):
            if name not in found and path.is_file():
                found[name] = measurement_record.read(path, name)
    return found


def read_benches(where: Iterable[Path]) -> dict[str, list[Timing]]:
    """Return the timings of every device whose benches lie in these folders of results, by its name."""
    return {
        folder.name: read_timings(folder) for place in where for folder in timing_folders(place / "bench")
    }
