"""What a process that computes is given by the one that starts it: cores, threads, memory of malloc."""

from __future__ import annotations

import os
from typing import Final

MALLOC: Final = {  # glibc would hand each freed tensor of some MB back: a quarter of a step at batch 64
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
}
THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_environment(threads: int, device: str) -> dict[str, str]:
    """Return the variables of a worker process; what the user has set of malloc and cuBLAS stands."""
    environment = {**MALLOC, **os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
    if device != "cpu":  # cuBLAS repeats itself only with a fixed workspace
        environment.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return environment
