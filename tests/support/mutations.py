"""Ways in which a file goes wrong: bits, cuts, zeros; and values that no writer wrote, under a right seal."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fairtrial.errors import BAD_INPUT, REFUSED, USAGE, Fault
from tests.support.memory import grows_by_less_than

NUMBERS = [500, pytest.param(10_000, marks=pytest.mark.soak)]  # of files for each reader
SEED = 20241127
LONGEST_S = 2.0
MOST_KB = 300 * 1024

VALUES = (
    None, True, False, -1, 0, 1, 1.5, -0.2, 93.1, 1e308, 10**30, 10**400, "", "x", "1", "nan", "../../x", "é",
    "a" * 300, [], {}, [[1]], ["x"], {"a": {}}, [None], {"id": "../x"},
)  # fmt: skip
CHANGES = ("set", "drop", "rename", "twice", "swap")


def tried(
    paths: Path | list[Path],
    ask: Callable[..., Any],
    number: int,
    damage: Callable[[bytes, random.Random], bytes] | None = None,
) -> Iterator[Any]:
    """Damage files, one at a time and each in turn -> what is read then, or the Fault that refuses it.

    ask: what reads them, given the one that is damaged. Any other error fails, and what takes long or much.
    """
    files = [paths] if isinstance(paths, Path) else paths
    whole, draws = [path.read_bytes() for path in files], random.Random(SEED)
    with grows_by_less_than(MOST_KB):
        for turn in range(number):
            path, data = files[turn % len(files)], whole[turn % len(files)]
            path.write_bytes((damage or damaged)(data, draws))
            began = time.process_time()
            try:
                found = ask(path)
            except Fault as error:
                assert error.code in (USAGE, BAD_INPUT, REFUSED)
                found = error
            assert time.process_time() - began < LONGEST_S
            yield found
            if len(files) > 1:
                path.write_bytes(data)


def refusals(*how: Any, **more: Any) -> int:
    """How many times a damaged file was refused; arguments of `tried`."""
    return sum(isinstance(found, Fault) for found in tried(*how, **more))


def damaged(data: bytes, draws: random.Random) -> bytes:
    """The bytes with flipped bits, cut, ending in zeros, with a piece twice, or without a piece."""
    body, at = bytearray(data), draws.randrange(len(data))
    kind = draws.choice(("flip", "flips", "cut", "zeros", "twice", "lost"))
    if kind in ("flip", "flips"):
        for _ in range(1 if kind == "flip" else draws.randrange(2, 9)):
            body[draws.randrange(len(body))] ^= 1 << draws.randrange(8)
    elif kind == "cut":
        del body[at:]
    elif kind == "zeros":
        body[at:] = bytes(len(body) - at)
    else:
        piece = body[at : at + draws.randrange(1, 64)]
        body[at : at + (0 if kind == "twice" else len(piece))] = piece if kind == "twice" else b""
    return bytes(body)


def changed(record: Any, draws: random.Random) -> Any:
    """A copy of a JSON value with one to three changes: another value, a name lost or renamed, a swap."""
    copy = _copied(record)
    for _ in range(draws.choice((1, 1, 1, 2, 3))):
        holder, key = draws.choice(list(_places(copy)))
        kind = draws.choice(CHANGES)
        if kind == "drop":
            del holder[key]
        elif kind == "rename" and isinstance(holder, dict):
            holder[f"{key}x"] = holder.pop(key)
        elif kind == "twice" and isinstance(holder, list):
            holder.append(_copied(holder[key]))
        elif kind == "swap":
            other, name = draws.choice(list(_places(copy)))
            holder[key] = _copied(other[name])
        else:
            holder[key] = _copied(draws.choice(VALUES))
        if not copy:
            return copy
    return copy


def _copied(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (holder, key) inside a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(pairs):
        yield value, key
        yield from _places(inner)
