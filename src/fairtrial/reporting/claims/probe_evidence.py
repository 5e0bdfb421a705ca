"""Recorded probes and the claims that rest on them -> evidence of their parts."""

from __future__ import annotations

import math
from collections.abc import Mapping

from fairtrial.reporting.claims.claim_entries import Evidence, Source
from fairtrial.reporting.claims.published_claims import Claim, Part, answer, claims, scale_of
from fairtrial.reporting.report_item import measured_by, network_name
from fairtrial.reporting.results.smoothness_ratios import log_ratio
from fairtrial.reporting.wording import clean, listed, plural
from fairtrial.storage.integrity import Record


def examine(probes: Mapping[str, Record]) -> list[Evidence]:
    """Return what the probes say of each claim on one. probes: name -> its record."""
    return [
        _evidence(claim, part, probes[part.design["probe"]], norm)
        for claim in claims()
        for part in claim.parts
        if part.measure == "probe" and part.design["probe"] in probes
        for norm in part.design["norms"]
    ]


def _evidence(claim: Claim, part: Part, record: Record, norm: str) -> Evidence:
    values, found = record["values"], log_ratio(record["values"], norm)
    low, high = math.exp(found.low), math.exp(found.high)
    name, data, looks = part.design["probe"], clean(values["data"]), list(map(str, values["looks"]))
    called = f"{network_name(values['model'])} on {data}; not a BiT result. {measured_by(record)}"
    return Evidence(
        claim=claim,
        part=part,
        source=Source(name, "", called.removesuffix("."), None, "probe"),
        answer=answer(part, low, high),
        scale=scale_of(claim, [values]),
        arms=f"{norm}+ws against {norm}",
        reason=f"all arms at lr {values['lr']:g}; mean over looks after {listed(looks)} updates",
        estimate=math.exp(found.estimate),
        low=low,
        high=high,
        level=found.level,
        n=found.n,
        unit="start",
        counted=plural(found.n, "start"),
        units=tuple(frozenset({f"{name} {norm} {seed}"}) for seed in range(found.n)),
    )
