"""One thread, the machine in the record, and rounds that alternate between what is compared."""

from __future__ import annotations

import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))  # `bare` is imported by name, under any import mode

THREADS = int(os.environ.get("FAIRTRIAL_BENCH_THREADS", "1"))


@pytest.fixture(autouse=True, scope="session")
def threads() -> int:
    """The number of threads of every measurement: 1, or FAIRTRIAL_BENCH_THREADS."""
    torch.set_num_threads(THREADS)
    return THREADS


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict) -> None:
    """What decides a timing and is not in pytest-benchmark's own list."""
    machine_info["torch"] = torch.__version__
    machine_info["threads"] = THREADS
    machine_info["cpu_model"] = cpu_model()
    machine_info["cpu_capability"] = torch.backends.cpu.get_cpu_capability()
    machine_info["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None


def cpu_model() -> str:
    """The processor's name as the kernel prints it."""
    listing = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", listing.read_text()) if listing.exists() else None
    return found[1] if found else platform.processor()


@pytest.fixture
def ratio(benchmark) -> Callable[..., float]:
    """ratio(reference, subject, rounds=15, calls=1): speed of the subject as a share of the reference's.

    Rounds alternate, and so does the order inside a round (ABBA), so that a drift of the machine hits both.
    The benchmark records the subject; every raw round and the ratio of medians stand in its extra_info.
    """

    def measure(
        reference: Callable[[], None], subject: Callable[[], None], rounds: int = 15, calls: int = 1
    ) -> float:
        seconds = interleaved({"reference": reference, "subject": subject}, rounds, calls)
        share = statistics.median(seconds["reference"]) / statistics.median(seconds["subject"])
        benchmark.extra_info.update({"ratio": share, "calls": calls, "rounds_s": seconds})
        benchmark.pedantic(subject, rounds=rounds, iterations=calls)
        return share

    return measure


def interleaved(
    subjects: dict[str, Callable[[], None]], rounds: int, calls: int = 1, warm_up: int = 3
) -> dict[str, list[float]]:
    """Seconds per call of each subject, one value a round; the order is turned round after each round."""
    for subject in subjects.values():
        for _ in range(warm_up):
            subject()
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    order = list(subjects)
    for _ in range(rounds):
        for name in order:
            start = time.perf_counter()
            for _ in range(calls):
                subjects[name]()
            seconds[name].append((time.perf_counter() - start) / calls)
        order.reverse()
    return seconds
