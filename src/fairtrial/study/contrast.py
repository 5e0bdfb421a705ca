"""One declared comparison: what it says, and what it must fulfil in its study."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from fairtrial.errors import Fault, Problem, did_you_mean, shown
from fairtrial.study import factors as table
from fairtrial.study.limits import METRICS
from fairtrial.study.source_locations import at

if TYPE_CHECKING:
    from fairtrial.study.study import Study

SIDES: Final = ("treatment", "control", "at", "by")

Levels = Mapping[str, Any]


@dataclass(frozen=True)
class Contrast:
    """One declared comparison: the mean over seeds of (treatment - control), paired on the seed.

    treatment, control: the levels that differ. at: levels that both share. by: one factor with two levels;
    the contrast is then an interaction, the difference at the first level minus the difference at the second.
    Swept factors that are not named are averaged over within a seed. margin: the smallest difference that
    matters, in the unit of the metric; the study's margin when None.
    """

    name: str
    treatment: Levels
    control: Levels
    at: Levels = field(default_factory=dict)
    by: Levels = field(default_factory=dict)
    metric: str = "test_acc"
    margin: float | None = None

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Contrast:
        """The contrast that `record` describes."""
        return cls(**{**record, "by": {name: tuple(levels) for name, levels in record["by"].items()}})

    def record(self) -> dict[str, Any]:
        """JSON-ready form; its text is what a pre-registration hash covers."""
        return {
            "name": self.name,
            "treatment": dict(self.treatment),
            "control": dict(self.control),
            "at": dict(self.at),
            "by": {name: list(levels) for name, levels in self.by.items()},
            "metric": self.metric,
            "margin": self.margin,
        }

    def canonical(self) -> Contrast:
        """The same contrast with every level in its one spelling, data by its name."""
        by = {name: tuple(table.identity(name, level) for level in pair) for name, pair in self.by.items()}
        treatment, control, shared = map(table.identities, (self.treatment, self.control, self.at))
        return replace(self, treatment=treatment, control=control, at=shared, by=by)


def corners(contrast: Contrast) -> list[dict[str, Any]]:
    """The levels of each side: treatment and control; for an interaction both at each level of `by`."""
    ats = [{name: level} for name, pair in contrast.by.items() for level in pair] or [{}]
    return [{**arm, **contrast.at, **at} for at, arm in product(ats, (contrast.treatment, contrast.control))]


def problems(contrast: Contrast, study: Study) -> Iterator[Problem]:
    """Everything that is wrong with one contrast of a study whose factors are sound."""
    title = f"contrast {shown(contrast.name)}"
    where = at(study.locations, title)
    if not isinstance(contrast.name, str) or not contrast.name.strip():
        yield Problem(f"{title} has no name", where, "give it a short name in words")
    if [other.name for other in study.contrasts].count(contrast.name) > 1:
        yield Problem(f"{title} is declared twice", where, "give each contrast its own name")
    if contrast.metric not in METRICS:
        what = f"{title}: unknown metric {shown(contrast.metric)}{did_you_mean(contrast.metric, METRICS)}"
        yield Problem(what, where, f"known: {', '.join(METRICS)}")
    if contrast.margin is not None and not is_margin(contrast.margin):
        what = f"{title}: margin={shown(contrast.margin)} is not a number above 0"
        yield Problem(what, where, "write for example 0.01")
    odd = [side for side in SIDES if not isinstance(getattr(contrast, side), Mapping)]
    if odd:
        what = f"{title}: {odd[0]}={shown(getattr(contrast, odd[0]))} is not a table of levels"
        yield Problem(what, where, "write for example {'norm': 'gn'}")
    else:
        yield from _side_problems(contrast, study, title)


def is_margin(value: Any) -> bool:
    """Whether a value is a finite number above 0."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf


def _side_problems(contrast: Contrast, study: Study, title: str) -> Iterator[Problem]:
    where = at(study.locations, title)
    if set(contrast.treatment) != set(contrast.control) or not contrast.treatment:
        what = f"{title}: treatment and control must name the same factors"
        yield Problem(what, where, "give both a level of each factor that differs")
    elif dict(contrast.treatment) == dict(contrast.control):
        yield Problem(f"{title}: treatment and control are one arm", where, "let one level differ")
    named = Counter([*contrast.treatment, *contrast.at, *contrast.by])
    for name in [name for name, count in named.items() if count > 1]:
        what = f"{title} names {shown(name)} in more than one of treatment, at and by"
        yield Problem(what, where, "name it in one of them")
    for levels in (contrast.treatment, contrast.control, contrast.at):
        yield from unswept(levels, study, title)
    if len(contrast.by) > 1 or not all(map(_is_pair, contrast.by.values())):
        yield Problem(f"{title}: by={shown(dict(contrast.by))}", where, "name one factor with two levels")
        return
    for name, pair in contrast.by.items():
        for level in pair:
            yield from unswept({name: level}, study, title)


def _is_pair(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2 and value[0] != value[1]


def unswept(levels: Levels, study: Study, title: str, path: str | None = None) -> Iterator[Problem]:
    """The levels that are named, by a contrast or the A/A arm, but not swept."""
    path = path or title
    for name, level in levels.items():
        swept = study.factors.get(name)
        if swept is None:
            what = f"{title} names {shown(name)}, which is not swept{did_you_mean(name, study.factors)}"
            yield Problem(what, at(study.locations, path), f"swept factors: {', '.join(study.factors)}")
        elif not _among(name, level, swept):
            what = f"{title} names {name}={shown(level)}, which is not swept"
            listed = ", ".join(map(str, swept))
            yield Problem(
                what, at(study.locations, path, f"factors[{name!r}]"), f"levels of {name}: {listed}"
            )


def _among(name: str, level: Any, swept: Sequence) -> bool:
    try:
        return table.identity(name, level) in [table.identity(name, other) for other in swept]
    except (ValueError, Fault):
        return False


def as_tuple(value: Any) -> Any:
    """Return one contrast or a list of them as a tuple; anything else is left to the checks."""
    return (value,) if isinstance(value, Contrast) else tuple(value) if isinstance(value, list) else value


def distance(first: Contrast, second: Contrast) -> float:
    """Return the octaves between the levels of contrasts that compare the same on any data; else inf."""
    both = (first, second)
    ats = [{name: one.at[name] for name in sorted(one.at) if name != "data"} for one in both]
    asked = [
        (one.metric, dict(one.treatment), dict(one.control), [*at], [*one.by])
        for one, at in zip(both, ats, strict=True)
    ]
    if asked[0] != asked[1]:
        return math.inf
    levels = [[*at.values(), *_ends(one)] for one, at in zip(both, ats, strict=True)]
    return sum(_octaves(a, b) for a, b in zip(*levels, strict=True))


def _ends(contrast: Contrast) -> list[Any]:
    """Return the two levels of an interaction, the smaller one first; nothing of another contrast."""
    ends = [level for pair in contrast.by.values() for level in pair]
    return ends[:: direction(contrast)]


def direction(contrast: Contrast) -> int:
    """Return -1 for an interaction that is declared from its larger level on, else 1."""
    for first, second in contrast.by.values():
        if all(isinstance(level, (int, float)) for level in (first, second)):
            return -1 if first > second else 1
        return -1 if str(first) > str(second) else 1
    return 1


def _octaves(first: Any, second: Any) -> float:
    if first == second:
        return 0.0
    numbers = all(isinstance(one, (int, float)) and one > 0 for one in (first, second))
    return abs(math.log2(first / second)) if numbers else math.inf
