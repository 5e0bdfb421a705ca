"""Turns of two processes that measure: this side of the connection to the gate."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import fairtrial

HANDLE = "FAIRTRIAL_GATE_HANDLE"  # the number of the socket that leads to the gate


class Turns:
    """The connection to the gate; `settings` are what it asks for. Without a socket every turn is ours."""

    def __init__(self, handle: str | None) -> None:
        self.line = None if handle is None else socket.socket(fileno=int(handle)).makefile("rw")
        library = str(Path(fairtrial.__file__).resolve())
        self.settings = self.wait(file=library, debug=torch.version.debug)

    def wait(self, **says: Any) -> dict[str, Any]:
        """Say where this process is; returns when it is its turn, with what the gate answers."""
        if self.line is None:
            return says
        self.line.write(json.dumps(says) + "\n")
        self.line.flush()
        answer = self.line.readline()
        if not answer:
            raise SystemExit("the gate has gone")
        return json.loads(answer)

    def pytest_unconfigure(self) -> None:
        """Leave at once when the report is written: to take torch down costs a second and a half."""
        if self.line is not None:
            sys.stdout.flush()
            os._exit(0)


def connection_to_gate() -> Turns:
    """Return the connection that the environment names; outside a gate, one without a partner."""
    return Turns(os.environ.get(HANDLE))


def repeated(call: Callable[[], None], calls: int) -> Callable[[], None]:
    """So many calls as one."""

    def run() -> None:
        for _ in range(calls):
            call()

    return run


def slowed(call: Callable[[], None], percent: float) -> Callable[[], None]:
    """The call, then a busy wait for so many percent of the time that it took: a slow-down to be caught."""

    def run() -> None:
        start = time.perf_counter()
        call()
        end = start + (time.perf_counter() - start) * (1 + percent / 100)
        while time.perf_counter() < end:
            pass

    return run


def seconds_of(call: Callable[[], None], rounds: int = 8) -> float:
    """The shortest of a few calls after the first one: what a call costs once it is warm."""
    call()
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)
