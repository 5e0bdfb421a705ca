"""Cores and memory that a container or a batch job allows this process, as cgroups 1 and 2 and Slurm say."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fairtrial.errors import RESOURCES, fault
from fairtrial.execution.process_environment import BINDING

ROOT: Final = Path("/sys/fs/cgroup")
OWN: Final = Path("/proc/self/cgroup")  # a line for each hierarchy: number, controllers, path
WORKER_BYTES: Final = 800 << 20  # that a worker on a CPU takes, about; for the default of --jobs
DRIVER_BYTES: Final = 200 << 20
MEMORY_SHARE: Final = 0.85  # of the memory, for one worker; the rest is the driver's and the system's
LEAST_BYTES: Final = 640 << 20  # below it no cell of the smallest network ends well


def cores() -> int:
    """Return how many cores this process may use: by its affinity, its cgroup's quota, and its Slurm task."""
    allowed = len(_affinity()) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = [float(allowed), *_quotas()]
    if (task := os.environ.get("SLURM_CPUS_PER_TASK", "")).isdecimal():
        limits.append(int(task))
    return max(1, int(min(limits)))


def _affinity() -> set[int]:
    """Return the cores of this thread, and its parent's where OpenMP, of torch, may have bound it."""
    bound = any(name in os.environ for name in BINDING)
    return os.sched_getaffinity(0) | (os.sched_getaffinity(os.getppid()) if bound else set())


@contextmanager
def unbound() -> Iterator[None]:
    """Let a process that is started inside have every core of this one, whatever has bound its threads."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, _affinity())
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _quotas() -> Iterator[float]:
    for folder, newer in _cgroups("cpu"):
        if newer:
            quota, period = (*_words(folder / "cpu.max"), "max", "max")[:2]
        else:
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            quota, period = ((*_words(folder / name), "max")[0] for name in names)
        if quota.isdecimal() and period.isdecimal() and int(period):
            yield int(quota) / int(period)


def memory_bytes() -> int:
    """Return the memory of this machine, or what the cgroup of this process allows where that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for folder, newer in _cgroups("memory"):
        words = _words(folder / ("memory.max" if newer else "memory.limit_in_bytes"))
        total = min([total, *(int(word) for word in words if word.isdecimal())])
    return total


def refuse_little_memory() -> None:
    """Refuse (exit code 6) to start workers where not even one fits."""
    if (allowed := memory_bytes()) < LEAST_BYTES:
        what = f"{allowed >> 20:,} MB of memory are allowed here; a driver and one worker take more"
        do = f"allow {(DRIVER_BYTES + WORKER_BYTES) >> 20:,} MB or more (docker: --memory; Slurm: --mem)"
        raise fault(what, "this machine, or the container or batch job", do, RESOURCES)


def fitting_workers() -> int:
    """Return how many workers the memory holds beside their driver; at least one."""
    return max(1, (memory_bytes() - DRIVER_BYTES) // WORKER_BYTES)


def memory_kills() -> int:
    """Return how many processes of this cgroup the system has killed for lack of memory; 0 if unknown."""
    for folder, newer in _cgroups("memory"):
        words = _words(folder / ("memory.events" if newer else "memory.oom_control"))
        if "oom_kill" in words[:-1]:
            return int(words[words.index("oom_kill") + 1])
    return 0


def _cgroups(controller: str) -> Iterator[tuple[Path, bool]]:
    """Yield (folder, whether it is of version 2) of this process's cgroup, then of each above it."""
    for line in OWN.read_text().splitlines() if OWN.exists() else ():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            base = ROOT if (ROOT / "cgroup.controllers").exists() else ROOT / "unified"
        elif controller in controllers.split(","):
            base = next((b for b in (ROOT / controllers, ROOT / controller) if b.is_dir()), ROOT)
        else:
            continue
        # in a container the path may be that of the host, and only its own cgroup is there: as the root
        for inner in (Path(path.lstrip("/")), *Path(path.lstrip("/")).parents):
            if (base / inner).is_dir():
                yield base / inner, number == "0"


def _words(file: Path) -> list[str]:
    try:
        return re.split(r"\s+", file.read_text().strip())
    except OSError:
        return []
