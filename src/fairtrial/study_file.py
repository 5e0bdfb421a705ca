"""Find a study file, check its text, load it: the one place that runs a user's program."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

from fairtrial.errors import USAGE, Fault, Problem, did_you_mean, fault
from fairtrial.rooms import room
from fairtrial.study import Contrast, Study

SIZE_CAP: Final = 1024 * 1024  # bytes
_UNEXPECTED: Final = re.compile(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(.+)'")


def known_studies() -> list[str]:
    """The names in `ablations/`."""
    return sorted(path.stem for path in room("ablations").glob("*.py") if not path.stem.startswith("_"))


def find(name: str) -> Path:
    """A name in `ablations/`, or the path of a study file; Fault lists the known ones."""
    if name.endswith(".py") or "/" in name:
        path = Path(name)
        if not path.is_file():
            raise fault(f"there is no study file {name!r}", name, f"known studies: {', '.join(known_studies())}")
        return path
    if name in known_studies():
        return room("ablations") / f"{name}.py"
    what = f"unknown study {name!r}{did_you_mean(name, known_studies())}"
    raise fault(what, "STUDY", f"known: {', '.join(known_studies())}; or give the path of a study file")


def load(path: Path) -> Study:
    """The STUDY of a file; every fault carries the file and the line."""
    tree = _parse(path)
    try:
        found = _execute(path)
    except Fault as error:
        raise relocate(error, _lines(tree, path)) from None
    except ImportError as error:
        do = "install it, or take the import out of the study file"
        raise fault(f"the study needs a module that is missing: {error}", _frame(path, error), do) from None
    except TypeError as error:
        raise _unexpected(path, error) from None
    except Exception as error:
        what = f"the study file raised {type(error).__name__}: {error}"
        raise fault(what, _frame(path, error), "mend that line") from None
    if "STUDY" not in found:
        names = ", ".join(name for name in found if not name.startswith("_")) or "none"
        raise fault(f"the file defines no STUDY; names found: {names}", str(path), "write STUDY = Study(...)")
    if not isinstance(found["STUDY"], Study):
        what = f"STUDY is a {type(found['STUDY']).__name__}, not a fairtrial.study.Study"
        raise fault(what, str(path), "write STUDY = Study(...)")
    return found["STUDY"]


def relocate(error: Fault, places: Mapping[str, str]) -> Fault:
    """The same fault, with paths into the Study turned into where a person wrote the value."""
    moved = [replace(p, where=places.get(p.where, places.get("", "") or p.where)) for p in error.problems]
    return Fault(moved, error.code)


def _parse(path: Path) -> ast.Module:
    do = "write the study as a plain Python file in UTF-8"
    raw = path.read_bytes()
    if len(raw) > SIZE_CAP:
        raise fault(f"the study file holds {len(raw):,} bytes; at most {SIZE_CAP:,}", str(path), do)
    try:
        text = raw.decode("utf-8-sig")
        if "\0" in text:
            line = text[: text.index("\0")].count("\n") + 1
            raise fault("the study file holds a NUL byte", f"{path}:{line}", do)
        tree = ast.parse(text, str(path))
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise fault(f"the study file is not UTF-8: {error.reason}", f"{path}:{line}", do) from None
    except SyntaxError as error:
        raise fault(f"not Python: {error.msg}", f"{path}:{error.lineno}", "mend that line") from None
    except (RecursionError, MemoryError):
        raise fault("the study file is nested too deeply to be read", str(path), do) from None
    twice = list(_duplicate_keys(tree, path))
    if twice:
        raise Fault(twice, USAGE)
    return tree


def _duplicate_keys(tree: ast.Module, path: Path) -> Iterator[Problem]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Dict):
            continue
        seen: dict[Any, int] = {}
        for key in node.keys:
            if not isinstance(key, ast.Constant):
                continue
            if key.value in seen:
                what = f"the key {key.value!r} stands twice in one table (first in line {seen[key.value]})"
                do = "keep one: Python would silently take the last"
                yield Problem(what, f"{path}:{key.lineno}", do)
            seen.setdefault(key.value, key.lineno)


def _execute(path: Path) -> dict[str, Any]:
    folder = str(path.resolve().parent)
    spec = importlib.util.spec_from_file_location(f"fairtrial_study_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    return vars(module)


def _unexpected(path: Path, error: TypeError) -> Fault:
    match = _UNEXPECTED.search(str(error))
    known = {"Study": Study, "Contrast": Contrast}.get(match[1]) if match else None
    if match is None or known is None:
        return fault(f"the study file raised TypeError: {error}", _frame(path, error), "mend that line")
    names = [field.name for field in fields(known)]
    what = f"unknown keyword {match[2]!r} of {match[1]}{did_you_mean(match[2], names)}"
    return fault(what, _frame(path, error), f"known: {', '.join(names)}")


def _frame(path: Path, error: BaseException) -> str:
    """file:line of the study file's line that raised."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path]
    return f"{path}:{lines[-1]}" if lines else str(path)


def _lines(tree: ast.Module, path: Path) -> dict[str, str]:
    """Path into the Study -> file:line; '' is the line of the Study itself."""
    places: dict[str, str] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id == "Study":
            places.setdefault("", f"{path}:{node.lineno}")
            for keyword in node.keywords:
                places[str(keyword.arg)] = f"{path}:{keyword.value.lineno}, {keyword.arg}"
                if isinstance(keyword.value, ast.Dict):
                    places.update(_entries(str(keyword.arg), keyword.value, path))
        elif node.func.id == "Contrast":
            names = [*node.args[:1], *(k.value for k in node.keywords if k.arg == "name")]
            if names and isinstance(names[0], ast.Constant):
                places[f"contrast {names[0].value!r}"] = f"{path}:{node.lineno}, contrast {names[0].value!r}"
    return places


def _entries(field: str, table: ast.Dict, path: Path) -> Iterator[tuple[str, str]]:
    for key in table.keys:
        if isinstance(key, ast.Constant):
            where = f"{field}[{key.value!r}]"
            yield where, f"{path}:{key.lineno}, {where}"
