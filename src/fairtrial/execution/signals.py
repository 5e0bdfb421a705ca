"""Signals that ask a run to end."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any, Final

from fairtrial.errors import INTERRUPTED, PREEMPTED

WATCHED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class Stop:
    """True once a signal has come; `code` is then the exit code, `reason` what is written down."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.reason = "the driver stopped"

    def __bool__(self) -> bool:
        return self.code is not None

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """SIGINT stops with 130, SIGTERM and SIGUSR1 with 75; a SIGINT after any of them leaves at once."""
        if threading.current_thread() is not threading.main_thread():  # only there can handlers be set
            yield
            return
        before = [signal.signal(number, self._hear) for number in WATCHED]
        try:
            yield
        finally:
            for number, handler in zip(WATCHED, before, strict=True):
                signal.signal(number, handler)

    def _hear(self, number: int, _frame: Any) -> None:
        if self and number == signal.SIGINT:
            os._exit(INTERRUPTED)  # the jobs end with their input; what they did is in attempts and leases
        self.code = INTERRUPTED if number == signal.SIGINT else PREEMPTED
        self.reason = f"the driver got {signal.Signals(number).name}"


@contextlib.contextmanager
def withheld() -> Iterator[None]:
    """Keep the watched signals back: a process started inside never gets them, its parent afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
