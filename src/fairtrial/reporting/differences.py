"""Two texts that should say the same -> each number or line in which they differ, with its place."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any, Final

NUMBER: Final = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
LAST_DIGITS: Final = 1e-9  # relative; what another version of scipy may change in a float
_AROUND: Final = 24  # characters shown around a place
_MOST_ALIGNED: Final = 2000  # lines; more are compared in their order


def of_text(found: str, expected: str) -> Iterator[str]:
    """Each differing number of each differing line; lines that are missing or too many."""
    mine, theirs = found.splitlines(), expected.splitlines()
    for here, old, new in _aligned(mine, theirs):
        if old is None:
            yield f"line {here + 1}: missing before it: {_cut(new or '')}"
        elif new is None:
            yield f"line {here + 1}: nothing of the kind follows from the records: {_cut(old)}"
        else:
            yield from (f"line {here + 1}{what}" for what in _of_line(old, new))
    if mine == theirs and found != expected:
        yield "the ends of its lines differ"


def _aligned(mine: Sequence[str], theirs: Sequence[str]) -> Iterator[tuple[int, str | None, str | None]]:
    """(line number, line found, line expected) where they differ."""
    if len(mine) == len(theirs):
        yield from ((n, *pair) for n, pair in enumerate(zip(mine, theirs, strict=True)) if len({*pair}) > 1)
        return
    head = _alike(mine, theirs)
    tail = min(_alike(mine[::-1], theirs[::-1]), min(len(mine), len(theirs)) - head)
    mine, theirs = mine[head : len(mine) - tail], theirs[head : len(theirs) - tail]
    blocks = [("replace", 0, len(mine), 0, len(theirs))]
    if max(len(mine), len(theirs)) <= _MOST_ALIGNED:
        blocks = list(SequenceMatcher(None, mine, theirs, autojunk=False).get_opcodes())
    for tag, a, b, c, d in blocks:
        if tag != "equal":
            pairs = zip_longest(mine[a:b], theirs[c:d])
            yield from ((head + min(a + n, b), old, new) for n, (old, new) in enumerate(pairs) if old != new)


def _alike(mine: Sequence[str], theirs: Sequence[str]) -> int:
    """How many lines are the same before the first that is not."""
    pairs = zip(mine, theirs, strict=False)
    return next((n for n, (one, other) in enumerate(pairs) if one != other), min(len(mine), len(theirs)))


def _of_line(old: str, new: str) -> Iterator[str]:
    """Number by number where the words are the same; else the first place where the lines part."""
    mine, theirs = list(NUMBER.finditer(old)), list(NUMBER.finditer(new))
    if NUMBER.sub("0", old) == NUMBER.sub("0", new):
        for one, other in zip(mine, theirs, strict=True):
            if one[0] != other[0]:
                yield f' ("{_excerpt(old, one.start())}"): {one[0]}, expected {other[0]}'
        return
    start = next(n for n, (one, other) in enumerate(zip_longest(old, new)) if one != other)
    yield f': "{_excerpt(old, start)}", expected "{_excerpt(new, start)}"'


def _excerpt(line: str, at: int) -> str:
    low, high = max(0, at - _AROUND), at + _AROUND
    return f"{'...' if low else ''}{line[low:high].strip()}{'...' if high < len(line) else ''}"


def _cut(text: str) -> str:
    return f'"{_excerpt(text.strip(), 0)}"'


def of_csv(found: str, expected: str) -> Iterator[str]:
    """Each differing cell, by the name of its row and column."""
    mine, theirs = (list(csv.reader(io.StringIO(text))) for text in (found, expected))
    if mine[:1] != theirs[:1] or len(mine) != len(theirs):
        yield from of_text(found, expected)
        return
    header = theirs[0] if theirs else []
    for number, (old, new) in enumerate(zip(mine, theirs, strict=True), 1):
        for column, one, other in zip_longest(header, old, new, fillvalue=""):
            if one != other:
                place = f"row {number} ({_named(new)}), column {column!r}"
                yield from (f"{place}{what}" for what in _of_cell(one, other))
    if mine == theirs and found != expected:
        yield from of_text(found, expected)


def _of_cell(old: str, new: str) -> Iterator[str]:
    """A short cell as a whole, a long one as a line."""
    if max(len(old), len(new)) > 2 * _AROUND:
        return _of_line(old, new)
    return iter([f": {old or 'nothing'}, expected {new or 'nothing'}"])


def _named(row: Sequence[str]) -> str:
    return ", ".join(row[:2])[: 2 * _AROUND]


def of_json(found: str, expected: str) -> tuple[list[str], int]:
    """Each differing value by its path; and how many floats differ in their last digits alone."""
    try:
        mine, theirs = json.loads(found), json.loads(expected)
    except ValueError as error:
        return [f"not JSON: {error}"], 0
    named: list[str] = []
    tiny = 0
    for path, old, new in _of_values(mine, theirs, ""):
        if _nearly(old, new):
            tiny += 1
        else:
            named.append(f"{path}: {_value(old)}, expected {_value(new)}")
    if not named and not tiny:
        named = list(of_text(found, expected))  # a key that stands twice, or other spaces
    return named, tiny


class _Nothing:
    """A value that is not there."""


def _of_values(old: Any, new: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*new, *old)):
            inner = f"{path}.{key}" if path else key
            yield from _of_values(old.get(key, _Nothing()), new.get(key, _Nothing()), inner)
    elif isinstance(old, list) and isinstance(new, list):
        for index, (one, other) in enumerate(zip_longest(old, new, fillvalue=_Nothing())):
            yield from _of_values(one, other, f"{path}[{index}]")
    elif type(old) is not type(new) or old != new:
        yield path, old, new


def _nearly(old: Any, new: Any) -> bool:
    floats = isinstance(old, float) and isinstance(new, float)
    return floats and math.isclose(old, new, rel_tol=LAST_DIGITS, abs_tol=1e-12)


def _value(value: Any) -> str:
    text = "nothing" if isinstance(value, _Nothing) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
