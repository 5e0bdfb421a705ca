"""Typed objects read from JSON: a check for each field, what is unknown kept, what is impossible named."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Annotated, Any, Final, NamedTuple, TypeVar, cast

from fairtrial.errors import shown

Json = dict[str, Any]
Kind = TypeVar("Kind", bound="Group")
_PLAIN: Final = {type(None), str, int, float, bool}
# Beyond any sum, product or time that is measured; within them floats and the system's clock can hold all.
_MOST: Final = 10**24
_MANY: Final = 10**9  # beyond the images, and the classes, of any test split
_LATEST: Final = 10**11  # seconds since 1970, and before: a clock may be that wrong
_KEYS: Final = {"number": "attempt", "provenance": "origin"}  # field -> its name in the file


class Check(NamedTuple):
    """What a field must be, in words and as a test; how its JSON value becomes the field, and back."""

    words: str
    accepts: Callable[[Any], bool]
    read: Callable[[Any], Any] | None = None
    write: Callable[[Any], Any] | None = None


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -1e100 < value < 1e100


def _is_fraction(value: Any) -> bool:
    return _is_finite(value) and 0 <= value <= 1


def _is_point(value: Any) -> bool:
    sound = isinstance(value, list) and len(value) == 3 and _is_whole(value[0]) and _is_fraction(value[1])
    return sound and (value[2] is None or _is_finite(value[2]))


def _is_loss_point(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and _is_whole(value[0]) and _is_finite(value[1])


def is_table(value: Any) -> bool:
    """Whether a value is an object of plain values."""
    return isinstance(value, dict) and set(map(type, value.values())) <= _PLAIN


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _matches(pattern: str) -> Callable[[Any], bool]:
    whole = re.compile(pattern)
    return lambda value: isinstance(value, str) and whole.fullmatch(value) is not None


Whole = Annotated[int, Check("a whole number from 0 on", _is_whole)]
Ordinal = Annotated[int, Check("a whole number from 1 on", lambda v: _is_whole(v) and v >= 1)]
Count = Annotated[int, Check(f"a whole number in 1..{_MANY:,}", lambda v: _is_whole(v) and 1 <= v <= _MANY)]
Number = Annotated[float, Check("a finite number", _is_finite)]
Amount = Annotated[float, Check("a finite number from 0 on", lambda v: _is_finite(v) and 0 <= v <= _MOST)]
Moment = Annotated[float, Check("seconds since 1970", lambda v: _is_finite(v) and abs(v) <= _LATEST)]
Fraction = Annotated[float, Check("a fraction in 0..1", _is_fraction)]
Text = Annotated[str, Check("a text", _is_text)]
Texts = Annotated[
    list[str], Check("a list of texts", lambda v: isinstance(v, list) and all(map(_is_text, v)))
]
CellId = Annotated[str, Check("12 hexadecimal digits", _matches("[0-9a-f]{12}"))]
Sha256 = Annotated[str, Check("64 hexadecimal digits", _matches("[0-9a-f]{64}"))]
WeightsName = Annotated[
    str, Check("CELL-ATTEMPT.safetensors", _matches(r"[0-9a-f]{12}-[1-9][0-9]{0,9}\.safetensors"))
]
is_prints_name: Final = _matches(r"images-[0-9a-f]{16}\.u64")
PrintsName = Annotated[str, Check("images-DIGEST.u64", is_prints_name)]
Object = Annotated[Json, Check("an object", lambda v: isinstance(v, dict))]
Table = Annotated[Json, Check("a table of plain values", is_table)]
Curve = Annotated[
    list[list[Any]],
    Check("a list of [step, accuracy, loss]", lambda v: isinstance(v, list) and all(map(_is_point, v))),
]


Losses = Annotated[
    list[list[Any]],
    Check("a list of [step, loss]", lambda v: isinstance(v, list) and all(map(_is_loss_point, v))),
]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Fields of one JSON object. other: what other versions of fairtrial write beside them, kept as it is."""

    other: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> Json:
        """Return the object as it is written: without optional fields that are None."""
        return self.known_json() | dict(self.other)

    def known_json(self) -> Json:
        """Return the same without what other versions write beside it, which may be called as a column is."""
        written: Json = {}
        for name, key, check, _, default in _known(cast(Any, type(self))):
            value = getattr(self, name)
            if isinstance(value, Group):
                written[key] = value.as_json()
            elif value is not None or default is MISSING:
                written[key] = check.write(value) if check and check.write else value
        return written


class _Known(NamedTuple):
    """A field: its key in JSON, its check or the group that it is, its default or MISSING."""

    name: str
    key: str
    check: Check | None
    group: type[Group] | None
    default: Any


@cache
def _known(kind: Any) -> tuple[_Known, ...]:
    """The fields of a group, without `other`; each is annotated with the name of a kind, or NAME | None.

    The names are looked up, not evaluated: typing.get_type_hints takes as long as reading 50 records.
    """
    names, known = vars(sys.modules[kind.__module__]), []
    for one in fields(kind):
        if one.name != "other":
            what = names[str(one.type).removesuffix(" | None")]
            check, group = (None, what) if isinstance(what, type) else (what.__metadata__[0], None)
            known.append(_Known(one.name, _KEYS.get(one.name, one.name), check, group, one.default))
    return tuple(known)


def parse(kind: type[Kind], value: Any, at: str, flaws: list[str]) -> Kind | None:
    """Return a group from a JSON object; None with reasons in `flaws`. at: the path to it, 'measured.'."""
    if not isinstance(value, dict):
        flaws.append(f"{at.rstrip('.')}: expected an object; got {shown(value)}")
        return None
    given: Json = {}
    before, (known, needed) = len(flaws), _by_key(cast(Any, kind))
    for key, found in value.items():
        if (one := known.get(key)) is None:
            given.setdefault("other", {})[key] = found
        elif found is None and one.default is None:
            continue
        elif (check := one.check) is None:
            given[one.name] = parse(cast(Any, one.group), found, f"{at}{key}.", flaws)
        elif check.accepts(found):
            given[one.name] = check.read(found) if check.read else found
        else:
            flaws.append(f"{at}{key}: expected {check.words}; got {shown(found)}")
    flaws += [f"the record lacks {at}{key}" for key in needed if key not in value]
    return kind(**given) if len(flaws) == before else None


@cache
def _by_key(kind: Any) -> tuple[dict[str, _Known], tuple[str, ...]]:
    """The fields of a group by their keys in JSON, and the keys that no record may lack."""
    known = {one.key: one for one in _known(kind)}
    return known, tuple(key for key, one in known.items() if one.default is MISSING)
