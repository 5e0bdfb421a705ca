"""Typed objects read from JSON: a check for each field, what is unknown kept, what is impossible named."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Annotated, Any, Final, NamedTuple, TypeVar, cast, get_args, get_type_hints

from fairtrial.errors import shown

Json = dict[str, Any]
Kind = TypeVar("Kind", bound="Group")
_KEYS: Final = {"number": "attempt", "provenance": "origin"}  # field -> its name in the file


class Check(NamedTuple):
    """What a field must be, in words and as a test; how its JSON value becomes the field, and back."""

    words: str
    accepts: Callable[[Any], bool]
    read: Callable[[Any], Any] = lambda value: value
    write: Callable[[Any], Any] = lambda value: value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_fraction(value: Any) -> bool:
    return _is_finite(value) and 0 <= value <= 1


def _is_point(value: Any) -> bool:
    sound = isinstance(value, list) and len(value) == 3 and _is_whole(value[0]) and _is_fraction(value[1])
    return sound and (value[2] is None or _is_finite(value[2]))


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, bool))


def is_table(value: Any) -> bool:
    """Whether a value is an object of plain values."""
    return isinstance(value, dict) and all(map(_is_plain, value.values()))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{12}", value) is not None


Whole = Annotated[int, Check("a whole number from 0 on", _is_whole)]
Number = Annotated[float, Check("a finite number", _is_finite)]
Amount = Annotated[float, Check("a finite number from 0 on", lambda v: _is_finite(v) and v >= 0)]
Fraction = Annotated[float, Check("a fraction in 0..1", _is_fraction)]
Text = Annotated[str, Check("a text", _is_text)]
Texts = Annotated[
    list[str], Check("a list of texts", lambda v: isinstance(v, list) and all(map(_is_text, v)))
]
CellId = Annotated[str, Check("12 hexadecimal digits", _is_id)]
Object = Annotated[Json, Check("an object", lambda v: isinstance(v, dict))]
Table = Annotated[Json, Check("a table of plain values", is_table)]
Curve = Annotated[
    list[list[Any]],
    Check("a list of [step, accuracy, loss]", lambda v: isinstance(v, list) and all(map(_is_point, v))),
]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Fields of one JSON object. other: what other versions of fairtrial write beside them, kept as it is."""

    other: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> Json:
        """Return the object as it is written: without optional fields that are None."""
        written: Json = {}
        for name, (key, check, default) in _known(type(self)).items():
            value = getattr(self, name)
            if isinstance(value, Group):
                written[key] = value.as_json()
            elif value is not None or default is MISSING:
                written[key] = check.write(value) if isinstance(check, Check) else value
        return written | dict(self.other)


class _Known(NamedTuple):
    """A field: its key in JSON, its check or the group that it is, its default or MISSING."""

    key: str
    check: Check | type[Group]
    default: Any


def _known(kind: type[Group]) -> dict[str, _Known]:
    """The fields of a group by name, without `other`."""
    return _read_fields(cast(Hashable, kind))


@cache
def _read_fields(kind: Any) -> dict[str, _Known]:
    hints = get_type_hints(kind, include_extras=True)
    known = {}
    for one in fields(kind):
        if one.name != "other":
            parts = [hints[one.name], *get_args(hints[one.name])]
            check = next((p.__metadata__[0] for p in parts if hasattr(p, "__metadata__")), None)
            check = check or next(p for p in parts if isinstance(p, type) and issubclass(p, Group))
            known[one.name] = _Known(_KEYS.get(one.name, one.name), check, one.default)
    return known


def parse(kind: type[Kind], value: Any, at: str, flaws: list[str]) -> Kind | None:
    """Return a group from a JSON object; None with reasons in `flaws`. at: the path to it, 'measured.'."""
    if not isinstance(value, dict):
        flaws.append(f"{at.rstrip('.')}: expected an object; got {shown(value)}")
        return None
    given: Json = {}
    before, other = len(flaws), dict(value)
    for name, (key, check, default) in _known(kind).items():
        found = other.pop(key, MISSING)
        if found is MISSING:
            if default is MISSING:
                flaws.append(f"the record lacks {at}{key}")
        elif found is None and default is None:
            given[name] = None
        elif not isinstance(check, Check):
            given[name] = parse(check, found, f"{at}{key}.", flaws)
        elif check.accepts(found):
            given[name] = check.read(found)
        else:
            flaws.append(f"{at}{key}: expected {check.words}; got {shown(found)}")
    return kind(**given, other=other) if len(flaws) == before else None
