"""What an inconclusive contrast would take to be decided, in words."""

from __future__ import annotations

from fairtrial.reporting.results.replication_units import TUNING, ReplicationUnit
from fairtrial.reporting.verdicts.rulings import Finding
from fairtrial.reporting.wording import duration, plural
from fairtrial.stats.records import MoreSeeds


def wishes(finding: Finding) -> list[str]:
    """Return what it takes to decide an inconclusive effect as it was seen, and to exclude the margin."""
    ruling = finding.ruling
    if ruling is None or finding.interval is None or finding.verdict != "inconclusive":
        return []
    effect = finding.scale.gap(abs(finding.interval.estimate))
    asked = [
        (f"to decide this effect ({effect}, power .8)", ruling.more),
        (f"to exclude the margin of {finding.margin_words}", ruling.more_margin),
    ]
    return [
        f"{aim} takes about {more_units(finding, more)}"
        for aim, more in asked
        if more is not None and more.more_conservative
    ]


def more_units(finding: Finding, more: MoreSeeds) -> str:
    """Return '12 to 31 more seeds (up to 14 device-minutes)'.

    Of a published file there is no second one: there the other arms get checkpoints, and both new images.
    """
    low, high = more.more_plugin, more.more_conservative
    units = (
        plural(high, f"more {more.unit}")
        if low == high
        else f"{_about(low)} to {_about(high)} more {more.unit}s"
    )
    if finding.unit.beside_a_file:
        units += f" of the arms that have several, each with another {finding.unit.inner} for all arms"
    return units + cost(finding.unit, more.conservative_s)


def cost(unit: ReplicationUnit, seconds: float | None) -> str:
    """Return ' (up to 14 device-minutes, and their pre-training)'; empty where the seconds are not known."""
    before = "tuning" if unit.outer == TUNING else "pre-training"
    besides = f", and their {before}" if unit.groups is not None else ""
    return "" if seconds is None else f" (up to {duration(seconds)}{besides})"


def _about(number: int) -> str:
    """Return a number of units: '12', beyond a thousand two digits of it, '4,700'."""
    return str(number) if number < 1000 else f"{float(f'{number:.2g}'):,.0f}"
