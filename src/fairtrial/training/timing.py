"""The clock of the device that a cell runs on."""

from __future__ import annotations

from collections.abc import Callable

import torch

from fairtrial.study.budget import Ledger


def ledger_of(device: torch.device) -> Ledger:
    """A ledger that reads this device's own clock."""
    return Ledger(now=device_clock(device)) if device.type == "cuda" else Ledger()


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
