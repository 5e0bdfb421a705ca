"""What an undecided part of a claim would take to be decided: units, and the device time of a study."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from fairtrial.reporting.claims.published_claims import UNDECIDED, Part, answer
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.results.replication_units import ReplicationUnit
from fairtrial.reporting.verdicts.advice import cost, more_units
from fairtrial.reporting.verdicts.findings import unit_cost
from fairtrial.reporting.verdicts.rulings import Finding
from fairtrial.reporting.wording import plural
from fairtrial.stats import clopper_pearson, more_seeds, more_to_exclude
from fairtrial.stats.records import Interval, MoreSeeds
from fairtrial.study.limits import MIN_UNITS

_MOST: Final = 10_000  # units without a failure, far more than anybody runs


def of_contrast(results: Results, part: Part, finding: Finding) -> str:
    """Return '12 to 31 more seeds (up to 14 device-minutes)', at power .8 for the effect that was seen.

    Of several ways to be decided, the one that takes the fewest units. Empty without a pilot of 3 units, or
    where a million would not do.
    """
    found = sorted(_ways(results, part, finding), key=lambda more: more.more_conservative)
    return more_units(finding, found[0]) if found else ""


def of_rate(results: Results, part: Part, interval: Interval, unit: ReplicationUnit) -> str:
    """Return the units after which a rate is decided if no further one fails; empty where none would do."""
    each, failed = unit_cost(results, unit), round(interval.estimate * interval.n)

    def decided(more: int) -> bool:
        limits = clopper_pearson(failed, interval.n + more)
        return answer(part, limits.low, limits.high) != UNDECIDED

    more = bisect_left(range(_MOST), True, lo=1, key=decided)
    if more == _MOST:
        return ""
    takes = cost(unit, None if each is None else more * each)
    return f"{plural(more, f'more {interval.unit}')}{takes}, if no run of them diverges"


def _ways(results: Results, part: Part, finding: Finding) -> Iterator[MoreSeeds]:
    """Yield what each end of the rule takes; the one that the estimate is on the wrong side of takes more."""
    interval, ruling = finding.interval, finding.ruling
    if interval is None or ruling is None or not interval.sd or finding.n < MIN_UNITS:
        return
    n, sd, seen = interval.n, interval.sd, interval.estimate
    cost_s, alpha = unit_cost(results, finding.unit), 1 - (ruling.level or 0.95)

    def apart(bound: float) -> MoreSeeds:
        return more_seeds(n, sd, seen - bound, alpha=alpha, cost_s=cost_s, unit=interval.unit)

    def inside() -> MoreSeeds:
        one_sided = (1 - (ruling.equivalence_level or 0.9)) / 2
        return more_to_exclude(
            n, sd, seen, finding.margin, alpha=one_sided, cost_s=cost_s, unit=interval.unit
        )

    ways: dict[str, list[Callable[[], MoreSeeds]]] = {
        "above": [lambda: apart(part.bound)],
        "below": [lambda: apart(part.bound)],
        "no gain": [lambda: apart(finding.margin), lambda: apart(0.0)],
        "flat": [inside, lambda: apart(0.0)],
    }
    for way in ways.get(part.rule, ()):
        with suppress(ValueError):  # outside the margin, or more than a million units
            if (more := way()).more_conservative:
                yield more
