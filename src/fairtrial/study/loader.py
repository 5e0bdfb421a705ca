"""Find a study file, check its text, load it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from fairtrial.errors import Fault, Problem, did_you_mean, fault
from fairtrial.installation import shipped
from fairtrial.plugins.user_program import ProgramKind, compiled, execute, read_text, try_aside
from fairtrial.study.budget import Budget
from fairtrial.study.contrast import Contrast
from fairtrial.study.source_locations import SOURCE_LOCATIONS, lines
from fairtrial.study.study import Study

TABLES: Final = {"Study": Study, "Contrast": Contrast, "Budget": Budget}  # whose keywords are checked
_WRITE: Final = "write STUDY = Study(...)"
STUDY_FILE: Final = ProgramKind(
    "study file", f"{_WRITE} as a plain table", "put drive(STUDY) under `if __name__ == '__main__':`"
)


def known_studies() -> list[str]:
    """The names in `ablations/`, as the studies call themselves: batch-steps is in batch_steps.py."""
    files = shipped("ablations").glob("*.py")
    return sorted(path.stem.replace("_", "-") for path in files if not path.stem.startswith("_"))


def find(name: str) -> Path:
    """A name in `ablations/`, or the path of a study file; Fault lists the known ones."""
    known = known_studies()
    if name.endswith(".py") or "/" in name:
        return Path(name)
    if name in known:
        return shipped("ablations") / f"{name.replace('-', '_')}.py"
    what = f"unknown study {name!r}{did_you_mean(name, known)}"
    raise fault(what, "STUDY", f"known: {', '.join(known)}; or give the path of a study file")


def declared_name(path: Path) -> str | None:
    """Return the name that a study file states, without executing it; None where it cannot be read so."""
    try:
        tree = compiled(read_text(path, STUDY_FILE), str(path), STUDY_FILE).tree
    except Fault:
        return None  # told where it is loaded
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    words = [word for call in calls if ast.unparse(call.func).endswith("Study") for word in call.keywords]
    names = [
        word.value.value for word in words if word.arg == "name" and isinstance(word.value, ast.Constant)
    ]
    return names[0] if names and isinstance(names[0], str) else None


def load(path: Path) -> Study:
    """The STUDY of a file; every fault carries the file and the line."""
    known = f"known studies: {', '.join(known_studies())}"
    program = compiled(read_text(path, STUDY_FILE, known), str(path), STUDY_FILE)
    wrong = [*_duplicate_keys(program.tree, path), *_unknown_keywords(program.tree, path)]
    if wrong:
        raise Fault(wrong)
    locations = SOURCE_LOCATIONS.set(lines(program.tree, path))
    module = ModuleType(f"fairtrial_study_{path.stem}")
    try:
        if shipped("ablations") not in path.parents:
            try_aside(program)
        execute(program, module, path.resolve().parent)
        return _study_in(vars(module), path)
    finally:
        SOURCE_LOCATIONS.reset(locations)
        sys.modules.pop(module.__name__, None)


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
                yield Problem(what, f"{path}:{key.lineno}", "keep one: Python would silently take the last")
            seen.setdefault(key.value, key.lineno)


def _unknown_keywords(tree: ast.Module, path: Path) -> Iterator[Problem]:
    for node in ast.walk(tree):
        if (
            not isinstance(node, ast.Call)
            or not isinstance(node.func, ast.Name)
            or node.func.id not in TABLES
        ):
            continue
        known = [field.name for field in fields(TABLES[node.func.id])]
        for keyword in node.keywords:
            if keyword.arg is not None and keyword.arg not in known:
                what = f"unknown keyword {keyword.arg!r} of {node.func.id}{did_you_mean(keyword.arg, known)}"
                yield Problem(what, f"{path}:{keyword.lineno}", f"known: {', '.join(known)}")


def _study_in(found: dict[str, Any], path: Path) -> Study:
    study = found.get("STUDY")
    if isinstance(study, Study):
        return study
    if "STUDY" in found:
        raise fault(f"STUDY is a {type(study).__name__}, not a fairtrial.study.Study", str(path), _WRITE)
    others = [name for name, value in found.items() if isinstance(value, Study)]
    names = ", ".join(name for name in found if not name.startswith("_")) or "none"
    do = f"rename {others[0]} to STUDY" if others else _WRITE
    raise fault(f"the file defines no STUDY; names found: {names}", str(path), do)
