"""A fixed number of threads, the machine in the record, and races between what is compared."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import pytest
import torch

from bench.harness import machine
from bench.harness.clock import Clock, clock_of
from bench.harness.interleave import Calls, interleaved, peak_memory, raced, record, warm
from bench.harness.roofline import Roof, measured_roof
from bench.harness.workloads import Work
from fairtrial.regression.benchmark_records import differences

__all__ = ["interleaved"]
ROUNDS = 15


@pytest.fixture(autouse=True, scope="session")
def threads() -> int:
    """The number of threads of every measurement: 1, or FAIRTRIAL_BENCH_THREADS."""
    torch.set_num_threads(machine.THREADS)
    return machine.THREADS


@pytest.fixture(scope="session")
def device() -> torch.device:
    """Where the tensors of a bench lie."""
    torch.manual_seed(0)
    return machine.device()


@pytest.fixture(scope="session")
def clock(device) -> Clock:
    """The clock of that device."""
    return clock_of(device)


@pytest.fixture(scope="session")
def roof(device, clock, threads) -> Roof:
    """Copy bandwidth and matrix rate, measured once in this process."""
    return measured_roof(device, clock)


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict) -> None:
    """What decides a timing and is not in pytest-benchmark's own list."""
    machine_info.update(machine.info())


def pytest_benchmark_compare_machine_info(machine_info: dict, compared_benchmark: dict) -> None:
    """Refuse timings under other instructions, before anything is timed; of all else a warning tells."""
    ours = {"instructions": machine_info["instructions"]}
    if other := differences(compared_benchmark["machine_info"], ours):
        raise pytest.UsageError(f"no comparison across instructions: {other[0]}")


@pytest.fixture
def race(benchmark, clock, device, request) -> Callable[..., dict]:
    """race(subjects, recorded, rounds=15, calls=1, work=None, warm_up=3): see `raced` and `record`.

    The first subject is the reference. The benchmark is that of `recorded`; every raw round of all of them
    stands in its extra_info. work: of one call; then the roofline is told, too.
    """

    def measure(
        subjects: Calls,
        recorded: str,
        rounds: int = ROUNDS,
        calls: int = 1,
        work: Work | None = None,
        warm_up: int = 3,
    ) -> dict:
        enabled = benchmark.enabled
        warm(subjects, warm_up if enabled else 0)
        seconds = raced(
            benchmark, subjects, recorded, rounds=rounds if enabled else 1, calls=calls, clock=clock
        )
        peaks = {name: peak_memory(call, device) for name, call in subjects.items()}
        roof = request.getfixturevalue("roof") if work and enabled else None
        benchmark.extra_info.update(record(seconds, work, roof, peaks))
        benchmark.extra_info.update(calls=calls, recorded=recorded, clock=clock.name)
        return benchmark.extra_info

    return measure


@pytest.fixture
def ratio(race, benchmark) -> Callable[..., float]:
    """ratio(reference, subject, rounds=15, calls=1): speed of the subject as a share of the reference's."""

    def measure(
        reference: Callable[[], None], subject: Callable[[], None], rounds: int = ROUNDS, calls: int = 1
    ) -> float:
        told = race({"reference": reference, "subject": subject}, "subject", rounds, calls)
        medians = {name: statistics.median(values) for name, values in told["rounds_s"].items()}
        benchmark.extra_info["ratio"] = medians["reference"] / medians["subject"]
        return benchmark.extra_info["ratio"]

    return measure
