"""Signals that ask a command to end: what it does then, its exit code, and how long it may take."""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Final

from fairtrial.errors import INTERRUPTED, PREEMPTED

# names: Windows lacks some of them, and is told so in words
WATCHED: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP") if hasattr(signal, name)
)
_PR_SET_PDEATHSIG: Final = 1
GRACE_S: Final = 7.0  # from a signal until a command that has not ended by itself is ended


class Ended(KeyboardInterrupt):
    """A signal asks the command to end; raised wherever it is. code: the exit code."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        super().__init__(reason)


class Stop:
    """True once a signal has come; `code` is then the exit code, `reason` what is written down.

    raises: whether `Ended` is raised then; otherwise who listens looks at this object from time to time.
    """

    _listening: ClassVar[int] = 0
    _round: ClassVar[int] = 0  # counts on when nobody listens any more: no time limit holds then

    def __init__(self, *, raises: bool = False) -> None:
        self.code: int | None = None
        self.reason = "the driver stopped"
        self.raises = raises

    def __bool__(self) -> bool:
        return self.code is not None

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Listen while the block runs; outside the main thread, where none can be set, no handler is."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[int, Any] = {}
        Stop._listening += 1
        try:
            self.install(before)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            Stop._listening -= 1
            Stop._round += not Stop._listening

    def install(self, before: dict[int, Any]) -> None:
        """SIGINT stops with 130, SIGTERM, SIGUSR1 and SIGHUP with 75; a SIGINT after any leaves at once.

        before: takes the handlers that were there. SIGHUP stays ignored where it is: `nohup` did that.
        """
        for number in WATCHED:
            handler = signal.getsignal(number)
            if handler is signal.SIG_IGN and signal.Signals(number).name == "SIGHUP":
                continue
            before[number] = handler
            signal.signal(number, self._hear)

    def code_of(self, command: Callable[[], int]) -> int:
        """Return the exit code of a command, or of the signal that came while it ran.

        What a signal raises may be dropped, by a callback, or wrapped, by Python 3.11 while a class is made.
        """
        code = 0
        try:
            code = command()
        except Exception:
            if self.code is None:
                raise
        return code if self.code is None else self.code

    def _hear(self, number: int, _frame: Any) -> None:
        if self:
            if number == signal.SIGINT:
                os._exit(INTERRUPTED)  # the workers end with their input; what they did is in their files
            return
        self.code = INTERRUPTED if number == signal.SIGINT else PREEMPTED
        self.reason = f"the driver got {signal.Signals(number).name}"
        # A long call may not look at this object, and some callers drop whatever is raised. Not by
        # `threading`: the signal may have come while it holds its own lock.
        _thread.start_new_thread(_leave_in_time, (self.code, Stop._round))
        if self.raises:
            _end_helpers()
            sys.unraisablehook = _dropped
            raise Ended(self.code, self.reason)


def ignore() -> None:
    """Ignore what is watched: a command that has done its work ends with its own exit code."""
    for number in WATCHED:
        signal.signal(number, signal.SIG_IGN)


def _dropped(what: sys.UnraisableHookArgs) -> None:
    """Say nothing of an `Ended` that a callback drops: the command looks at its `Stop`."""
    if not isinstance(what.exc_value, Ended):
        sys.__unraisablehook__(what)


def _end_helpers() -> None:
    """Kill the processes that draw and check: their pool would wait for what they do."""
    multiprocessing = sys.modules.get("multiprocessing")
    for process in multiprocessing.active_children() if multiprocessing else ():
        process.kill()


def _leave_in_time(code: int, started: int) -> None:
    time.sleep(GRACE_S)
    if started != Stop._round:
        return
    _end_helpers()
    kill(*_started_by(os.getpid()))
    os._exit(code)


def kill(*pids: int) -> None:
    """Kill processes and, where the system names them, all that they have started."""
    for pid in pids:
        below = _started_by(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        kill(*below)


def _started_by(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        listings = Path(f"/proc/{pid}/task").glob("*/children")
        return [int(word) for listing in listings for word in listing.read_text().split()]
    return []


def end_with_parent() -> None:
    """Let the system end this process with the one that started it, even where that one was killed."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextlib.contextmanager
def withheld() -> Iterator[None]:
    """Keep the watched signals back: a process started inside never gets them, its parent afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
