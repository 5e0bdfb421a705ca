"""Find a study file, check its text, load it: the one place that runs a user's program."""

from __future__ import annotations

import ast
import contextlib
import math
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final, NoReturn

from fairtrial.errors import Fault, Problem, did_you_mean, fault
from fairtrial.installation import shipped
from fairtrial.plain_file import open_file
from fairtrial.signals import WATCHED, Ended
from fairtrial.study.budget import Budget
from fairtrial.study.contrast import Contrast
from fairtrial.study.source_locations import SOURCE_LOCATIONS, lines
from fairtrial.study.study import Study

SIZE_CAP: Final = 1024 * 1024  # bytes
TABLES: Final = {"Study": Study, "Contrast": Contrast, "Budget": Budget}  # whose keywords are checked
LOADING_S: Final = 60.0  # that a study file may take to load
AFTER_S: Final = 0.2  # from the last word of a process to its end
_ENDS: Final = "the study file ends the program while it is loaded"
_NO_DRIVE: Final = "put drive(STUDY) under `if __name__ == '__main__':`"
_WRITE: Final = "write STUDY = Study(...)"


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


def load(path: Path) -> Study:
    """The STUDY of a file; every fault carries the file and the line."""
    tree, code = _parse(path)
    wrong = [*_duplicate_keys(tree, path), *_unknown_keywords(tree, path)]
    if wrong:
        raise Fault(wrong)
    locations = SOURCE_LOCATIONS.set(lines(tree, path))
    try:
        if shipped("ablations") not in path.parents:
            _try(code, path)
        return _study_in(_execute(code, path), path)
    finally:
        SOURCE_LOCATIONS.reset(locations)


def _parse(path: Path) -> tuple[ast.Module, CodeType]:
    do = "write the study as a plain Python file in UTF-8"
    raw = _read(path)
    if len(raw) > SIZE_CAP:
        raise fault(f"the study file holds more than {SIZE_CAP:,} bytes", str(path), do)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise fault(f"the study file is not UTF-8: {error.reason}", f"{path}:{line}", do) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise fault("the study file holds a NUL byte", f"{path}:{line}", do)
    try:
        tree = ast.parse(text, str(path))
        return tree, compile(tree, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise fault(f"not Python: {error.msg}", f"{path}:{error.lineno or 1}", "mend that line") from None
    except (RecursionError, MemoryError):
        raise fault("the study file is nested too deeply to be read", str(path), do) from None


def _read(path: Path) -> bytes:
    try:
        if not path.exists():
            do = f"known studies: {', '.join(known_studies())}"
            raise fault(f"there is no study file {str(path)!r}", str(path), do)
        with open_file(path) as file:
            return file.read(SIZE_CAP + 1)
    except OSError as error:
        do = "give the path of a Python file that can be read"
        raise fault(f"the study file cannot be read: {error.strerror}", str(path), do) from None


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


def _try(code: CodeType, path: Path) -> None:
    """Load a study file in a process of its own first: it may end it in any way, or never end."""
    said, say = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    if not (child := os.fork()):
        _execute_aside(code, path, say)
    os.close(say)
    try:
        ended = bool(select.select([said], [], [], LOADING_S)[0])
        if ended and os.read(said, 1):
            return
        if ended:  # it ends, or has become another program
            time.sleep(AFTER_S)
    finally:
        os.close(said)
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError):
                kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
    if not ended:
        what = f"the study file was not loaded within {LOADING_S:g} s"
        raise fault(what, str(path), "write STUDY = Study(...) as a plain table, and nothing that waits")
    code_or_signal = os.waitstatus_to_exitcode(status)
    how = f"exit code {code_or_signal}"
    if code_or_signal < 0:
        how = f"signal {-code_or_signal} ({signal.Signals(-code_or_signal).name})"
    raise fault(f"{_ENDS}, with {how}", str(path), _NO_DRIVE)


def _execute_aside(code: CodeType, path: Path, say: int) -> NoReturn:
    """Execute a study file in a child that says nothing but that it came to the end; errors are an end."""
    try:
        for number in WATCHED:
            signal.signal(number, signal.SIG_DFL)
        os.setpgid(0, 0)
        # should the parent be killed
        signal.alarm(math.ceil(LOADING_S) + 1)
        with open(os.devnull, "r+b") as nothing:  # noqa: PTH123
            for stream in range(3):
                os.dup2(nothing.fileno(), stream)
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115
        with contextlib.suppress(BaseException):  # the parent meets it too, and says it
            _execute(code, path)
        os.write(say, b"1")
    finally:
        os._exit(0)


def _execute(code: CodeType, path: Path) -> dict[str, Any]:
    """The names that the program defines. Nothing is written: no compiled copy beside the file."""
    module = ModuleType(f"fairtrial_study_{path.stem}")
    module.__file__ = str(path)
    before = list(sys.path)
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules[module.__name__] = module  # where a dataclass in the file looks for its annotations
    try:
        exec(code, vars(module))
    except Fault:
        raise
    except ModuleNotFoundError as error:
        what = f"the study file needs the module {error.name!r}, which is not installed"
        do = f"pip install {error.name}, or take the import out of the study file"
        raise fault(what, _frame(path, error), do) from None
    except SystemExit as error:
        raise fault(_ENDS, _frame(path, error), _NO_DRIVE) from None
    except Ended:
        raise
    except BaseException as error:
        what = f"the study file raised {type(error).__name__}: {error}"
        raise fault(what, _frame(path, error), "mend that line") from None
    finally:
        sys.path[:] = before
        del sys.modules[module.__name__]
    return vars(module)


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


def _frame(path: Path, error: BaseException) -> str:
    """file:line of the study file's line that raised."""
    numbers = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
    ]
    return f"{path}:{numbers[-1]}" if numbers else str(path)
