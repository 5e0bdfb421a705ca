"""Recorded benches and the claims on cost -> evidence of their parts; only like is compared with like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from fairtrial.reporting.claims.claim_entries import Evidence, Source
from fairtrial.reporting.claims.published_claims import NOT_COMPARABLE, Claim, Part, answer, claims, scale_of
from fairtrial.reporting.results.timings import Timing, machine_of
from fairtrial.reporting.wording import clean, plural
from fairtrial.stats import ratio_interval
from fairtrial.study.limits import PARITY_LIMIT

# Kernels of a subject's name that are torch's; the reference is on those of torch.
_STOCK: Final = ("torch", "plain")
_ONE_PROCESS: Final = f"decided beyond {100 * PARITY_LIMIT:g} % only, as one process differs from another"
_PRECISION: Final = ", fp32"  # the name of a timing says its own


def examine(benches: Mapping[str, Sequence[Timing]]) -> list[Evidence]:
    """Return what the benches say of each claim on cost. benches: name of a device -> its timings."""
    return [
        evidence
        for claim in claims()
        for part in claim.parts
        if part.measure == "ratio"
        for name, timings in benches.items()
        for timing in timings
        if timing.task == part.design["bench"]
        for evidence in _of_timing(claim, part, name, timing)
    ]


def _of_timing(claim: Claim, part: Part, name: str, timing: Timing) -> Iterator[Evidence]:
    """Yield the evidence of every subject beside the reference; both were timed in turns in one process."""
    reference = part.design["reference"]
    if reference not in timing.rounds_s:
        return
    source = Source(
        clean(name), "", f"{machine_of([timing]).removesuffix(_PRECISION)}; not a BiT result", None, "bench"
    )
    for subject in (one for one in timing.rounds_s if one in part.design["subjects"]):
        interval = ratio_interval(timing.rounds_s[reference], timing.rounds_s[subject], unit="timing")
        like, how = _compared(timing, subject, reference)
        limits = interval.low / (1 + PARITY_LIMIT), interval.high * (1 + PARITY_LIMIT)
        yield Evidence(
            claim=claim,
            part=part,
            source=source,
            answer=answer(part, *limits) if like else NOT_COMPARABLE,
            scale=scale_of(claim, [timing.extra_info]),
            arms=f"{subject} against {reference}, {timing.group.removeprefix('arms of ')}",
            reason=f"{how}; {_ONE_PROCESS}" if like else how,
            estimate=interval.estimate,
            low=interval.low,
            high=interval.high,
            level=interval.level,
            n=1,
            unit="timing",
            counted=f"1 timing of {plural(interval.n, 'round')}",
            units=(frozenset({f"{name} {timing.group} {subject}"}),) if like else (),
        )


def _compared(timing: Timing, subject: str, reference: str) -> tuple[bool, str]:
    """Return whether two subjects are like but for the arm, and how their kernels and layouts stand.

    Like are one layout for both, or, recorded by subject, each in the layout that is better for its kernels.
    """
    arm, _, kernels = subject.rpartition(" ")
    if kernels not in _STOCK:
        return False, f"our own kernels against the stock ones of {reference}"
    layouts = timing.extra_info.get("layouts")
    if not isinstance(layouts, Mapping) or reference not in layouts:
        return False, "the layouts are not recorded"
    if subject in layouts:
        return True, "each in its better layout"
    own, other = (clean(layouts.get(name)) for name in (arm, reference))
    return (
        own == other,
        f"both in {own}" if own == other else f"layouts differ: {arm} in {own}, {reference} in {other}",
    )
