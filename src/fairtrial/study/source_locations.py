"""Where each value of a study was written: path into the Study -> file and line, or option."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
from typing import Final

SourceLocations = Mapping[
    str, str
]  # "factors['norm']" -> "my_study.py:12" or "--set norm"; "" is the Study itself

# The locations of the file that is being loaded; every Study made meanwhile takes them along.
SOURCE_LOCATIONS: Final[ContextVar[SourceLocations]] = ContextVar("locations", default=MappingProxyType({}))


def at(locations: SourceLocations, *paths: str) -> str:
    """Where a person wrote these values; the path itself where nothing nearer is known."""
    return " and ".join(dict.fromkeys(_place(locations, path) for path in paths))


def _place(locations: SourceLocations, path: str) -> str:
    near = locations.get(path) or locations.get(path.partition("[")[0]) or locations.get("")
    if near is None:
        return path
    return near if near.startswith("--") else f"{near}, {path}"


def lines(tree: ast.Module, path: Path) -> dict[str, str]:
    """The locations of a study file."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            told = {"Study": _of_study, "Contrast": _of_contrast}.get(node.func.id)
            for name, line in told(node) if told else ():
                found.setdefault(name, f"{path}:{line}")
    return found


def _of_study(call: ast.Call) -> Iterator[tuple[str, int]]:
    yield "", call.lineno
    for keyword in call.keywords:
        yield str(keyword.arg), keyword.value.lineno
        if isinstance(keyword.value, ast.Dict):
            for key in keyword.value.keys:
                if isinstance(key, ast.Constant):
                    yield f"{keyword.arg}[{key.value!r}]", key.lineno


def _of_contrast(call: ast.Call) -> Iterator[tuple[str, int]]:
    names = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == "name")]
    if names and isinstance(names[0], ast.Constant):
        yield f"contrast {names[0].value!r}", call.lineno
