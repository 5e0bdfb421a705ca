"""What this process holds in memory, as the system counts it."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def grows_by_less_than(kb: int) -> Iterator[None]:
    """Fail if the peak of memory in the block lies so far above what there was before."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _memory_kb("VmRSS")
    yield
    grown = _memory_kb("VmHWM") - before
    assert grown < kb, f"{grown:,} kB more"


def _memory_kb(name: str) -> int:
    """A line of this process's memory: VmRSS now, VmHWM at its peak."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])
