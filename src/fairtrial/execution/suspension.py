"""Time in which a process was stopped (Ctrl-Z, a suspended batch job, a paused container) is no work."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Final

TICK_S: Final = 0.25  # between two looks at the clock: what a pause may be taken too short by
GAP_S: Final = 1.0  # between two looks means a pause: a busy machine wakes a thread earlier than that


class WorkClock:
    """Seconds in which this process was not stopped, on the system's monotonic clock.

    A thread looks at that clock; a gap between two looks is a pause. It needs no signal: a container that is
    frozen gets none.
    """

    def __init__(self) -> None:
        self._lock, self._ticking, self._last, self._stalled_s = threading.Lock(), False, 0.0, 0.0

    def start(self) -> None:
        """Look at the clock from now on; starting it twice is fine."""
        if not self._ticking:
            self._last, self._ticking = time.monotonic(), True
            threading.Thread(target=self._tick, daemon=True).start()

    def _tick(self) -> None:
        while True:
            time.sleep(TICK_S)
            self.now()

    def now(self) -> float:
        """Return the time without the pauses so far."""
        # whoever reads first after a pause finds it
        with self._lock:
            at = time.monotonic()
            if self._ticking and at - self._last > GAP_S:
                self._stalled_s += at - self._last - TICK_S
            self._last = at
            return at - self._stalled_s

    def stalled_s(self) -> float:
        """Return the seconds of all pauses so far."""
        self.now()
        return self._stalled_s


CLOCK: Final = WorkClock()  # of this process


def is_stopped(pid: int) -> bool:
    """Whether a process of this machine is stopped by a signal; False where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] in ("T", "t")
