"""A Python file of the user's: read, checked and executed here alone; every fault names the file and line."""

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
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final, NoReturn

from fairtrial.errors import Fault, fault
from fairtrial.plain_file import open_file
from fairtrial.signals import WATCHED, Ended

SIZE_CAP: Final = 1024 * 1024  # bytes
LOADING_S: Final = 60.0  # that a file may take to load
AFTER_S: Final = 0.2  # from the last word of a process to its end


@dataclass(frozen=True)
class ProgramKind:
    """What a file is, in messages. says: its name; write: what it holds; plain: what keeps it from ending."""

    says: str
    write: str
    plain: str


@dataclass(frozen=True)
class UserProgram:
    """The text of a file, its syntax tree and its compiled code; nothing of it has run."""

    path: str
    text: str
    kind: ProgramKind
    tree: ast.Module
    code: CodeType

    @property
    def ends(self) -> str:
        """What is said where it ends the process."""
        return f"the {self.kind.says} ends the program while it is loaded"


def read_text(path: Path, kind: ProgramKind, known: str = "") -> str:
    """Return the text of a file; a Fault where it is none in UTF-8. known: what to do where there is none."""
    says, do = kind.says, f"write the {kind.says.partition(' ')[0]} as a plain Python file in UTF-8"
    try:
        if not path.exists():
            what = f"there is no {says} {str(path)!r}"
            raise fault(what, str(path), known or "give the path of a Python file")
        with open_file(path) as file:
            raw = file.read(SIZE_CAP + 1)
    except OSError as error:
        read = "give the path of a Python file that can be read"
        raise fault(f"the {says} cannot be read: {error.strerror}", str(path), read) from None
    if len(raw) > SIZE_CAP:
        raise fault(f"the {says} holds more than {SIZE_CAP:,} bytes", str(path), do)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise fault(f"the {says} is not UTF-8: {error.reason}", f"{path}:{line}", do) from None


def compiled(text: str, path: str, kind: ProgramKind) -> UserProgram:
    """Return a text as a program; a Fault where it is no Python."""
    do = f"write the {kind.says.partition(' ')[0]} as a plain Python file in UTF-8"
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise fault(f"the {kind.says} holds a NUL byte", f"{path}:{line}", do)
    try:
        tree = ast.parse(text, path)
        return UserProgram(path, text, kind, tree, compile(tree, path, "exec", dont_inherit=True))
    except SyntaxError as error:
        raise fault(f"not Python: {error.msg}", f"{path}:{error.lineno or 1}", "mend that line") from None
    except (RecursionError, MemoryError):
        raise fault(f"the {kind.says} is nested too deeply to be read, or memory ran out", path, do) from None


def try_aside(program: UserProgram) -> None:
    """Load a file in a process of its own first: it may end it in any way, or never end."""
    said, say = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    if not (child := os.fork()):
        _execute_aside(program, say)
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
    kind = program.kind
    if not ended:
        what = f"the {kind.says} was not loaded within {LOADING_S:g} s"
        raise fault(what, program.path, f"{kind.write}, and nothing that waits")
    code_or_signal = os.waitstatus_to_exitcode(status)
    how = f"exit code {code_or_signal}"
    if code_or_signal < 0:
        how = f"signal {-code_or_signal} ({signal.Signals(-code_or_signal).name})"
    raise fault(f"{program.ends}, with {how}", program.path, kind.plain)


def _execute_aside(program: UserProgram, say: int) -> NoReturn:
    """Execute a file in a child that says nothing but that it came to the end; errors are an end."""
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
            execute(program, ModuleType("fairtrial_tried"), Path(program.path).resolve().parent)
        os.write(say, b"1")
    finally:
        os._exit(0)


def execute(program: UserProgram, module: ModuleType, beside: Path | None) -> None:
    """Let a module become what a program defines. Nothing is written: no compiled copy beside the file.

    beside: a folder that it may import from too; without one it imports nothing from the current folder.
    """
    module.__file__ = program.path
    sys.modules[module.__name__] = module  # where a dataclass in the file looks for its annotations
    says = program.kind.says
    try:
        with _path_of_imports(beside):
            exec(program.code, vars(module))
    except Fault:
        raise
    except ModuleNotFoundError as error:
        what = f"the {says} needs the module {error.name!r}, which is not installed"
        do = f"pip install {error.name}, or take the import out of the {says}"
        if beside is None:
            do += "; put a file of yours into it, which travels alone"
        raise fault(what, frame_in(program.path, module.__name__, error), do) from None
    except SystemExit as error:
        raise fault(
            program.ends, frame_in(program.path, module.__name__, error), program.kind.plain
        ) from None
    except Ended:
        raise
    except BaseException as error:
        what = f"the {says} raised {type(error).__name__}: {error}"
        raise fault(what, frame_in(program.path, module.__name__, error), "mend that line") from None


@contextlib.contextmanager
def _path_of_imports(beside: Path | None) -> Iterator[None]:
    before = list(sys.path)
    if beside is not None:
        sys.path.insert(0, str(beside))
    else:
        sys.path[:] = [each for each in before if each not in ("", str(Path.cwd()))]
    try:
        yield
    finally:
        sys.path[:] = before


def frame_in(path: str, module: str, error: BaseException) -> str:
    """Return file:line of the last line of a module that was running when an error was raised.

    path: of its file, for the message; the same text may have been executed from another one.
    """
    frames = traceback.walk_tb(error.__traceback__)
    numbers = [line for frame, line in frames if frame.f_globals.get("__name__") == module]
    return f"{path}:{numbers[-1]}" if numbers else path
