"""What papers claim, the published numbers behind it, and when our intervals support it.

claims.json holds the claims, published.json the numbers; nothing else holds a published number.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any, Final

from fairtrial.reporting.claims import published
from fairtrial.reporting.claims.published import PublishedRow
from fairtrial.study.limits import MIN_UNITS

ANSWERS: Final = ("supported", "contradicted", "mixed", "undecided", "not comparable")
SUPPORTED, CONTRADICTED, MIXED, UNDECIDED, NOT_COMPARABLE = ANSWERS
SAME, SCALED = "same", "scaled down"
SHOWN: Final = "shown"  # the rule of a part that stands beside the others and decides nothing
MEASURES: Final = ("contrast", "ratio", "sd", "rate", "probe")
_DESIGN: Final = (
    "treatment", "control", "at", "by", "arm", "bench", "subjects", "reference", "probe", "norms",
)  # fmt: skip
RULES: Final = ("above", "below", "no gain", "flat", SHOWN)


@dataclass(frozen=True)
class Part:
    """One number that a claim rests on.

    measure: "contrast" (paired difference), "ratio" (of images per second, in a bench), "sd" (over subsets of
    one checkpoint), "rate" (of units of which a run diverged) or "probe" (a ratio of what a probe measured).
    rule, bound: what its interval must do, in the unit of the record. design: treatment, control, at, by, or
    the arm, or the task of a bench with its subjects and reference, or a probe with its norms; arms: settings
    that its arms must have.
    published: the lowest and highest published value, in the same unit; empty where none is.
    """

    name: str
    measure: str
    rule: str
    bound: float
    design: Mapping[str, Any]
    arms: Mapping[str, Sequence[Any]]
    averaged: tuple[str, ...]
    unit: str | None
    published: tuple[float, ...]


@dataclass(frozen=True)
class Claim:
    """A claim with its parts; `published` holds a number that stands for the claim as a whole."""

    id: str
    claim: str
    figure: str
    question: str
    rule: str
    source: str
    cautions: tuple[str, ...]
    setting: Mapping[str, Sequence[Any]]
    needs: str
    parts: tuple[Part, ...]
    published: tuple[float, ...]


@cache
def claims() -> tuple[Claim, ...]:
    """Return the claims of the ledger, in its order."""
    return tuple(_claim(record) for record in _read())


def references() -> list[PublishedRow]:
    """Return every published row that the claims rest on."""
    parts = [part for record in _read() for part in (record, *record["parts"])]
    groups = [group for part in parts for group in part.get("published", ())]
    return [row_of(ref) for group in groups for ref in (*group["plus"], *group.get("minus", ()))]


def row_of(reference: Mapping[str, Any]) -> PublishedRow:
    """Return the one row with these values that may be quoted; a ValueError for none or several."""
    which = {name: reference.get(name) for name in ("source", "table", "metric")}
    fitting = published.rows(**which, **reference.get("setting", {}))
    if len(fitting) != 1:
        raise ValueError(f"{len(fitting)} published rows fit {dict(reference)}; one is needed")
    return fitting[0]


def scale_of(claim: Claim, arms: Iterable[Mapping[str, Any]]) -> str:
    """Say whether these arms have the published setting: "same", or "scaled down"."""
    same = all(fits(claim.setting, settings) for settings in arms)
    return SAME if same and claim.setting else SCALED


def fits(wanted: Mapping[str, Sequence[Any]], settings: Mapping[str, Any]) -> bool:
    """Say whether settings have, for each name, one of the values; a text may hold `*`."""
    return all(any(_equal(settings.get(name), value) for value in values) for name, values in wanted.items())


def answer(
    part: Part,
    low: float,
    high: float,
    *,
    margin: float = 0.0,
    inside: bool = False,
    units: int | None = None,
) -> str:
    """Say what an interval says of a part of a claim.

    low, high: its limits, infinite where there is no interval. margin: the smallest difference that matters;
    inside: whether the equivalence interval lies within it. units: upstream checkpoints of each arm, for a
    part whose unit is the checkpoint; below 3 nothing is decided. Limits that touch a bound decide nothing.
    """
    if part.rule == SHOWN:
        return SHOWN
    if not (math.isfinite(low) and math.isfinite(high)) or (part.unit and (units or 0) < MIN_UNITS):
        return UNDECIDED
    yes, no = {
        "above": (low > part.bound, high < part.bound),
        "below": (high < part.bound, low > part.bound),
        "no gain": (high < margin, low > 0),
        "flat": (inside, low > 0 or high < 0),
    }[part.rule]
    return SUPPORTED if yes else CONTRADICTED if no else UNDECIDED


def together(answers: Sequence[Sequence[str]]) -> str:
    """Return what parts come to; each part has the answers of the studies on it.

    Supported or contradicted where all that is decided agrees, mixed where it does not; undecided where
    nothing is, and not comparable where no study could have decided anything.
    """
    given = {answer for of_part in answers for answer in of_part} - {SHOWN, NOT_COMPARABLE}
    decided = given - {UNDECIDED}
    if len(decided) > 1:
        return MIXED
    return decided.pop() if decided else UNDECIDED if given else NOT_COMPARABLE


def distance(value: float, published: Sequence[float]) -> float | None:
    """Say how far a value lies from what is published, with its sign; 0 within a range; None without."""
    if not published:
        return None
    low, high = min(published), max(published)
    return value - low if value < low else value - high if value > high else 0.0


def _claim(record: Mapping[str, Any]) -> Claim:
    parts = tuple(_part(part) for part in record["parts"])
    own = _values(record.get("published", ()), "contrast")
    plain = ("id", "claim", "figure", "question", "rule", "source", "setting", "needs")
    fields = {name: record[name] for name in plain}
    return Claim(**fields, cautions=tuple(record["cautions"]), parts=parts, published=own)


def _part(record: Mapping[str, Any]) -> Part:
    return Part(
        name=record["name"],
        measure=record["measure"],
        rule=record["rule"],
        bound=record["bound"],
        design={name: record[name] for name in _DESIGN if name in record},
        arms=record["arms"],
        averaged=tuple(record.get("averaged", ())),
        unit=record.get("unit"),
        published=_values(record["published"], record["measure"]),
    )


def _values(groups: Sequence[Mapping[str, Any]], measure: str) -> tuple[float, ...]:
    """Return the published values, in the unit of our records: percent and points become fractions."""
    values = []
    for group in groups:
        plus = sum(row_of(reference)["value"] for reference in group["plus"])
        minus = sum(row_of(reference)["value"] for reference in group.get("minus", ()))
        values.append(plus / minus if measure == "ratio" else (plus - minus) / 100)
    return tuple(sorted(values))


def _equal(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, str) and isinstance(value, str):
        return fnmatchcase(value, wanted)
    return type(value) is type(wanted) and bool(value == wanted)


def _read() -> Any:
    return json.loads(files("fairtrial.reporting.claims").joinpath("claims.json").read_text(encoding="utf-8"))
