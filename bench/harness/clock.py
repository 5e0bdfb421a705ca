"""Seconds of a call on the device that runs it, and proof that the call waited for its work."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from fairtrial.training.timing import device_clock

SLACK_S = 1e-4  # an event and a reading of the clock cost so much at the most
SHARE = 0.9  # of the device's time that a call which waits for its work lasts at the least


class Unsynchronised(RuntimeError):
    """A call came back before its work was done, so its wall time says nothing."""


@dataclass(frozen=True)
class Clock:
    """wall: seconds as a person sees them. device: seconds by events; None where the two are the same."""

    wall: Callable[[], float] = time.perf_counter
    device: Callable[[], float] | None = None

    @property
    def name(self) -> str:
        """What the seconds are read from."""
        return "wall" if self.device is None else "events"

    def seconds(self, call: Callable[[], None], calls: int = 1) -> float:
        """Seconds per call; Unsynchronised, if the calls came back before the device had done."""
        begin = self.device() if self.device else 0.0
        start = self.wall()
        for _ in range(calls):
            call()
        wall_s = self.wall() - start
        if self.device is None:
            return wall_s / calls
        device_s = self.device() - begin
        if wall_s + SLACK_S < SHARE * device_s:
            raise Unsynchronised(
                f"the call came back after {1e3 * wall_s:.3g} ms, its work took {1e3 * device_s:.3g} ms: "
                "synchronise inside the timed call"
            )
        return device_s / calls


def clock_of(device: torch.device) -> Clock:
    """The clock of a device: events on a GPU, which pytest-benchmark does not know."""
    return Clock(device=device_clock(device)) if device.type == "cuda" else Clock()
