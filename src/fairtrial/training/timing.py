"""The clock of the device that a cell runs on, and the ledger that books its seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import torch

ACCOUNTS: Final = ("train", "eval", "load")


@dataclass
class Ledger:
    """Seconds by account, read from a clock that is passed in; tests pass a fake one.

    stalled: seconds of that clock in which the process was stopped: they belong to no account.
    synchronize: called before each reading, so that work queued on a GPU is counted where it was caused.
    """

    now: Callable[[], float] = time.perf_counter
    synchronize: Callable[[], None] = lambda: None
    stalled: Callable[[], float] = lambda: 0.0
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(ACCOUNTS, 0.0))
    _account: str | None = None  # of the block that is open
    _since: float = 0.0

    @contextmanager
    def book(self, account: str) -> Iterator[None]:
        """Book the time spent inside to one account, without what a block inside books to another."""
        outside = self._account
        self._turn_to(account)
        try:
            yield
        finally:
            self._turn_to(outside)

    def go_on_from(self, seconds: Mapping[str, float]) -> None:
        """Add what was booked before a checkpoint."""
        for account, spent in seconds.items():
            self.seconds[account] = self.seconds.get(account, 0.0) + spent

    def _turn_to(self, account: str | None) -> None:
        now = self._read()
        if self._account is not None:
            self.seconds[self._account] = self.seconds.get(self._account, 0.0) + (now - self._since)
        self._account, self._since = account, now

    def _read(self) -> float:
        self.synchronize()
        return self.now() - self.stalled()


def ledger_of(device: torch.device, stalled: Callable[[], float]) -> Ledger:
    """A ledger that reads this device's own clock."""
    return Ledger(device_clock(device) if device.type == "cuda" else time.perf_counter, stalled=stalled)


def device_clock(device: torch.device) -> Callable[[], float]:
    """Seconds on a GPU since now, by events: a reading waits until all that was queued before it is done."""
    begin = torch.cuda.Event(enable_timing=True)
    begin.record(torch.cuda.current_stream(device))

    def now() -> float:
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(device))
        event.synchronize()
        return begin.elapsed_time(event) / 1000

    return now
