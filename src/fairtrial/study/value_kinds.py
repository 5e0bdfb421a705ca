"""The kinds of values that settings take: how each is checked, read from text, and described."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from fairtrial.errors import did_you_mean


@dataclass(frozen=True)
class Kind:
    """How values of one type are told apart, read from text, and described."""

    said: str | Callable[[], str]
    # the one spelling of a value; raises ValueError with the reason
    canon: Callable[[Any], Any]
    parse: Callable[[str], Any]

    @property
    def says(self) -> str:
        """Describe it."""
        return self.said if isinstance(self.said, str) else self.said()


def whole(low: int, high: int = 2**31 - 1) -> Kind:
    """Return the kind of a whole number within bounds."""

    def canon(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"is {type(value).__name__}, not a whole number")
        if not low <= value <= high:
            raise ValueError(f"is outside {low}..{high}")
        return value

    return Kind(f"a whole number from {low} to {high}", canon, _number)


def real(low: float, *, above: bool = False, below: float = math.inf) -> Kind:
    """Return the kind of a finite number from `low` on, or above it, and below another."""
    sign = ">" if above else ">="
    says = f"a finite number {sign} {low:g}" + (f" and < {below:g}" if below < math.inf else "")

    def canon(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"is {type(value).__name__}, not a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise ValueError("is not finite")
        if number < low or (above and number == low):
            raise ValueError(f"is not {sign} {low:g}")
        if number >= below:
            raise ValueError(f"is not < {below:g}")
        # -0.0 becomes 0.0
        return number + 0.0

    return Kind(says, canon, _number)


def choice(*names: str) -> Kind:
    """Return the kind of one name out of several."""
    return choice_of(names)


def choice_of(names: Collection[str], known: Callable[[str], object] = lambda name: None) -> Kind:
    """Return the kind of one name of a table, which may grow by plug-ins, or that `known` finds a row for."""

    def canon(value: Any) -> str:
        if not isinstance(value, str) or (value not in names and known(value) is None):
            raise ValueError(f"is not a known name{did_you_mean(value, names)}")
        return value

    def says() -> str:
        families = Counter(name.partition(":")[0] for name in names if ":" in name)
        listed = [name for name in names if ":" not in name]
        return "one of " + ", ".join([*listed, *(f"{one}:NAME ({n} names)" for one, n in families.items())])

    return Kind(says, canon, str)


def switch() -> Kind:
    """Return the kind of True and False."""

    def canon(value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError(f"is {type(value).__name__}, not True or False")
        return value

    return Kind("True or False (on, off)", canon, _boolean)


def text() -> Kind:
    """Return the kind of a text that is not blank."""

    def canon(value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise ValueError("is not a text")
        return value

    return Kind("a text", canon, str)


def plain() -> Kind:
    """Return the kind of any plain value: what JSON keeps as it is."""

    def canon(value: Any) -> Any:
        number = isinstance(value, (int, float)) and math.isfinite(value)
        if value is None or number or (isinstance(value, str) and value.strip()):
            return value
        raise ValueError(f"is {type(value).__name__}, not a plain value")

    def parse(given: str) -> Any:
        if given in ("none", "on", "off"):
            return {"none": None, "on": True, "off": False}[given]
        return _number(given)

    return Kind("a text, a finite number, True, False or None", canon, parse)


def either(word: Any, spelled: str, kind: Kind) -> Kind:
    """Return the kind of `word`, `spelled` on the command line, or of a value of another kind."""

    def canon(value: Any) -> Any:
        return word if value is word or (isinstance(word, str) and value == word) else kind.canon(value)

    def parse(given: str) -> Any:
        return word if given == spelled else kind.parse(given)

    first = repr(word) if word == spelled else f"{word} (as an option: {spelled})"
    return Kind(lambda: f"{first}, or {kind.says}", canon, parse)


def _number(given: str) -> Any:
    for read in (int, float):
        try:
            return read(given)
        except ValueError:
            continue
    # the check then says what is wrong with it
    return given


def _boolean(given: str) -> Any:
    words = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
    return words.get(given.lower(), given)
