"""What a contrast says, decided by a table."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any, TypeAlias

from fairtrial.stats.records import HolmStep, Interval, MoreSeeds, RatioInterval, Verdict
from fairtrial.stats.rules import Margin, limits
from fairtrial.stats.sample_size import more_seeds, more_to_exclude
from fairtrial.study.limits import MIN_UNITS

Limits: TypeAlias = Interval | tuple[float, float]


# (the difference lies, the equivalence interval is inside the margin) -> verdict
_WORDS = {
    ("above", False): "better",
    ("below", False): "worse",
    ("around", False): "inconclusive",
    ("above", True): "different_but_negligible",
    ("below", True): "different_but_negligible",
    ("around", True): "equivalent",
}


def verdict(
    difference: Limits,
    equivalence: Limits | None,
    margin: Margin | None,
    *,
    higher_is_better: bool = True,
    checkpoints: int | tuple[int, int] | None = None,
    declared: bool = True,
    planned: int | None = None,
    n: int | None = None,
    sd: float | None = None,
    cost_s: float | None = None,
    holm: HolmStep | None = None,
) -> Verdict:
    """Return the verdict on a difference, treatment minus control, with its reason and its stamps.

    difference, equivalence: the intervals at the levels of their Holm steps, records or bare (low, high).
    Excluding 0 and lying inside the margin are strict. margin: delta or (low, high); without it or the
    equivalence interval, equivalence is never claimed. checkpoints: upstream ones per arm. declared:
    contrast, look and margin stood in the study before the first run. planned: units. n, sd: where
    `difference` lacks them, for the seeds an inconclusive contrast asks for. cost_s: of a unit. Whether the
    arms may be compared at all is decided elsewhere: here are only numbers.
    """
    bounds = None if margin is None else limits(margin)
    outer, inner = _limits(difference, "difference"), _limits(equivalence, "equivalence")
    n = n if n is not None else getattr(difference, "n", None)
    sd = sd if sd is not None else getattr(difference, "sd", None)
    inside, unit = _inside(inner, bounds) and _finite(outer), getattr(difference, "unit", "seed")
    word = _WORDS[_side(outer, higher_is_better), inside]
    estimate = getattr(difference, "estimate", (outer[0] + outer[1]) / 2)
    levels = _level(difference) or 0.95, _level(equivalence) or 0.9
    pilot = n if word == "inconclusive" else None
    more = _advice(estimate, bounds, levels, pilot, sd, {"cost_s": cost_s, "unit": unit})
    reason = _reason(word, outer, inner, bounds, difference, equivalence) + _wish(*more)
    return Verdict(
        **_judged(difference, equivalence, outer, inner),
        n=n or 0,
        verdict=word,
        reason=reason,
        stamps=_stamps(checkpoints, declared, n, planned, unit),
        margin=bounds,
        higher_is_better=higher_is_better,
        holm=holm,
        more=more[0],
        more_margin=more[1],
    )


def _judged(
    difference: Limits, equivalence: Limits | None, outer: tuple[float, float], inner: tuple[float, float]
) -> dict[str, Any]:
    """What a verdict keeps of the two intervals."""
    return {
        "method": "difference and equivalence intervals against 0 and the margin",
        "unit": getattr(difference, "unit", "seed"),
        "scope": getattr(difference, "scope", "this test set"),
        "warnings": _warnings(difference, equivalence),
        "estimate": getattr(difference, "estimate", None),
        "low": outer[0],
        "high": outer[1],
        "level": _level(difference),
        "equivalence_low": inner[0],
        "equivalence_high": inner[1],
        "equivalence_level": _level(equivalence),
    }


def _limits(interval: Limits | None, name: str) -> tuple[float, float]:
    if interval is None:
        return -math.inf, math.inf
    if isinstance(interval, RatioInterval):
        raise ValueError(
            f"{name} is a ratio: pass the paired_interval of the logarithms, and a margin in logs"
        )
    low, high = (interval.low, interval.high) if isinstance(interval, Interval) else interval
    if not low <= high:
        raise ValueError(f"{name} is an interval low <= high; got ({low!r}, {high!r})")
    return float(low), float(high)


def _level(interval: Limits | None) -> float | None:
    return interval.level if isinstance(interval, Interval) else None


def _finite(bounds: tuple[float, float]) -> bool:
    return math.isfinite(bounds[0]) and math.isfinite(bounds[1])


def _side(outer: tuple[float, float], higher_is_better: bool) -> str:
    low, high = outer if higher_is_better else (-outer[1], -outer[0])
    if not _finite(outer) or low <= 0 <= high:
        return "around"
    return "above" if low > 0 else "below"


def _inside(inner: tuple[float, float], bounds: tuple[float, float] | None) -> bool:
    return bounds is not None and bounds[0] < inner[0] and inner[1] < bounds[1]


def _stamps(
    checkpoints: int | tuple[int, int] | None, declared: bool, n: int | None, planned: int | None, unit: str
) -> tuple[str, ...]:
    stamps = []
    if checkpoints is not None:
        fewest = checkpoints if isinstance(checkpoints, int) else min(checkpoints)
        if fewest < MIN_UNITS:
            stamps.append(f"conditional on {'this checkpoint' if fewest <= 1 else 'these checkpoints'}")
    if not declared:
        stamps.append("exploratory")
    if planned is not None and n is not None and n < planned:
        stamps.append(f"{n} of {planned} {unit}s")
    return tuple(stamps)


def _warnings(*intervals: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(warning for each in intervals for warning in getattr(each, "warnings", ())))


def _reason(
    word: str,
    outer: tuple[float, float],
    inner: tuple[float, float],
    bounds: tuple[float, float] | None,
    difference: Limits,
    equivalence: Limits | None,
) -> str:
    if not _finite(outer):
        if getattr(difference, "estimate", None) == 0 and getattr(difference, "sd", None) == 0:
            return "every difference is exactly 0: is the factor consumed at all?"
        return (_warnings(difference) or ("no interval of the difference",))[0]
    verb = "contains 0" if outer[0] <= 0 <= outer[1] else "excludes 0"
    first = f"the {_named(difference)} {_shown(outer)} {verb}"
    if bounds is None:
        return f"{first}; no margin was declared"
    if not _finite(inner):
        return f"{first}; there is no equivalence interval"
    place = "inside" if word in ("equivalent", "different_but_negligible") else "not inside"
    return f"{first}; the {_named(equivalence)} {_shown(inner)} is {place} the margin {_shown(bounds)}"


def _named(interval: Limits | None) -> str:
    level = _level(interval)
    return "interval" if level is None else f"{100 * level:.4g} % interval"


def _shown(bounds: tuple[float, float]) -> str:
    return f"[{bounds[0]:.4g}, {bounds[1]:.4g}]"


def _advice(
    estimate: float,
    bounds: tuple[float, float] | None,
    levels: tuple[float, float],
    n: int | None,
    sd: float | None,
    of_unit: dict[str, Any],
) -> tuple[MoreSeeds | None, MoreSeeds | None]:
    """Return the units that decide the effect that was seen, and those that exclude the margin.

    levels: of the intervals of the difference and of equivalence.
    """
    if n is None or sd is None or n < MIN_UNITS or not 0 < sd < math.inf:
        return None, None
    decides = excludes = None
    # a million seeds would not do, or the estimate lies outside the margin
    with suppress(ValueError):
        decides = more_seeds(n, sd, estimate, alpha=1 - levels[0], **of_unit)
    with suppress(ValueError):
        if bounds is not None:
            excludes = more_to_exclude(n, sd, estimate, bounds, alpha=(1 - levels[1]) / 2, **of_unit)
    return decides, excludes


def _wish(decides: MoreSeeds | None, excludes: MoreSeeds | None) -> str:
    return "".join(
        f"; to {what}, {_count(more)}"
        for what, more in (("decide this effect", decides), ("exclude the margin", excludes))
        if more is not None
    )


def _count(more: MoreSeeds) -> str:
    hours = "" if more.conservative_s is None else f", {more.conservative_s / 3600:.3g} device-hours"
    return f"{more.more_plugin} to {more.more_conservative} more {more.unit}s{hours}"
