"""What the gate says: one line per bench, what it was compared with, the end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from fairtrial.regression.decision import FINE, SLOWER, UNDECIDED, Bench, Decision
from fairtrial.study.limits import MIN_UNITS


def lines(decision: Decision, found: Mapping[str, Any]) -> list[str]:
    """The decision as a person reads it."""
    against = found.get("base") or found.get("baseline")
    told = [f"against    {against} ({found['why']}), {found['mode']}"]
    told += [f"label      {label}" for label in found["labels"]]
    if found["planted"]:
        told.append(f"planted    StdConv benches of the candidate are slowed by {found['planted']:g} %")
    width = max(len(bench.name) for bench in decision.benches)
    told += [f"bench      {bench.name:<{width}}  {_row(bench)}" for bench in decision.benches]
    told += [f"bench      {name:<{width}}  new: nothing to compare with" for name in found["new"]]
    if "recorded" in found:
        told.append(f"recorded   {found['recorded']}")
    return [*told, f"gate       {_end(decision)}"]


def logs(launches: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, list[float]]:
    """Bench -> the log of the median seconds of each launch."""
    return {name: [math.log(median(launch[name])) for launch in launches] for name in launches[0]}


def _row(bench: Bench) -> str:
    shift = f"{100 * (bench.ratio - 1):+.1f} % time"
    if math.isinf(bench.high):
        few = f"fewer than {MIN_UNITS} launches"
        return f"{shift} (no interval: {few}, or none that differ)  {bench.state}"
    limits = f"({100 * (bench.low - 1):+.1f} to {100 * (bench.high - 1):+.1f}, 95 %)"
    p = bench.p_fine if bench.state == FINE else bench.p_slower
    return f"{shift} {limits}  {bench.state}, p = {p:.1g}"


def _end(decision: Decision) -> str:
    much, after = f"{decision.plan.tolerance:.1%}", f"after {decision.launches} launches"
    if decision.state == SLOWER:
        return f"REGRESSION {after}: slower by more than {much}: {', '.join(decision.named(SLOWER))}"
    if decision.state == FINE:
        return f"fine {after}: no bench is slower by {much}"
    names = ", ".join(decision.named(UNDECIDED))
    return (
        f"undecided {after}: {names} may or may not be slower by {much}; run it again when the machine is "
        "quieter, or state a larger --tolerance"
    )
