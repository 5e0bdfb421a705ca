"""The space that tuning searches: dimensions such as lr=0.01:1:log, read from text and checked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fairtrial.errors import Fault, Problem, did_you_mean
from fairtrial.study import factors
from fairtrial.study.arm_validation import BY_RULE

if TYPE_CHECKING:
    from fairtrial.study.study import Study

TUNABLE: Final = ("lr", "weight_decay", "warmup", "mixup")  # numbers of the recipe
DEFAULT: Final = ("lr=0.01:1:log",)
_FORM: Final = "write NAME=LOW:HIGH or NAME=LOW:HIGH:log, such as lr=0.01:1:log"
_TEXT: Final = re.compile(r"(?P<name>\w+)=(?P<low>[^:]+):(?P<high>[^:]+?)(?P<log>:log)?")


@dataclass(frozen=True)
class Dimension:
    """One setting between two limits, both included; log: drawn evenly over its logarithm."""

    name: str
    low: float
    high: float
    log: bool

    @property
    def text(self) -> str:
        """The one spelling, 'lr=0.01:1:log'."""
        return f"{self.name}={self.low:.15g}:{self.high:.15g}" + (":log" if self.log else "")


def parse(texts: Sequence[str], study: Study) -> tuple[Dimension, ...]:
    """The dimensions of --space, by name; a Fault names each that cannot be read or is not free."""
    problems: list[Problem] = []
    found: dict[str, Dimension] = {}
    for text in texts:
        where = f"--space {text}"
        try:
            dimension = read(text)
        except ValueError as error:
            problems.append(Problem(str(error), where, _FORM))
            continue
        if dimension.name in found:
            problems.append(Problem(f"{dimension.name} is given twice", where, "keep one of the two"))
        problems += [Problem(what, where, do) for what, do in _taken(dimension.name, study)]
        found[dimension.name] = dimension
    if problems:
        raise Fault(problems)
    return tuple(found[name] for name in sorted(found))


def read(text: str) -> Dimension:
    """'lr=0.01:1:log' as a dimension; ValueError says what is wrong with it."""
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a dimension")
    name = match["name"]
    if name not in TUNABLE:
        near = did_you_mean(name, TUNABLE)
        raise ValueError(f"{name!r} cannot be tuned{near}; these can: {', '.join(TUNABLE)}")
    low, high = (_limit(name, match[end]) for end in ("low", "high"))
    if not low < high:
        raise ValueError(f"{name} has no room from {low:g} to {high:g}")
    if match["log"] and low <= 0:
        raise ValueError(f"{name} from {low:g} has no logarithm")
    return Dimension(name, low, high, match["log"] is not None)


def _limit(name: str, text: str) -> float:
    row: Any = factors.FACTORS[name]
    return float(factors.canon(name, row.kind.parse(text)))


def _taken(name: str, study: Study) -> Iterator[tuple[str, str]]:
    """Why a setting is not free to be tuned."""
    if name in study.factors:
        yield f"{name} is swept by the study", "tune what the study does not compare"
    recipes = {study.settings(levels).recipe for levels in study.arms()}
    if name in BY_RULE and recipes != {"own"}:
        yield f"{name} is set by recipe={max(recipes - {'own'})!r}", "tune an arm with recipe='own'"
