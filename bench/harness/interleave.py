"""Rounds that alternate between what is compared, and what is written down about them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from bench.harness.clock import Clock
from bench.harness.roofline import Roof
from bench.harness.workloads import Work

Calls = Mapping[str, Callable[[], None]]


def order(names: list[str], rounds: int) -> Iterator[str]:
    """Every name once a round, the order turned round after each (ABBA): a drift of the machine hits all."""
    for number in range(rounds):
        yield from names if number % 2 == 0 else names[::-1]


def interleaved(
    subjects: Calls, rounds: int, calls: int = 1, warm_up: int = 3, clock: Clock | None = None
) -> dict[str, list[float]]:
    """Seconds per call of each subject, one value a round."""
    clock = clock or Clock()
    warm(subjects, warm_up)
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    for name in order(list(subjects), rounds):
        seconds[name].append(clock.seconds(subjects[name], calls))
    return seconds


def warm(subjects: Calls, times: int) -> None:
    """So many calls of each, which nobody times."""
    for subject in subjects.values():
        for _ in range(times):
            subject()


def raced(
    benchmark: Any, subjects: Calls, recorded: str, *, rounds: int, calls: int, clock: Clock
) -> dict[str, list[float]]:
    """As `interleaved`, with the rounds of `recorded` timed by pytest-benchmark as well."""
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    queue = order(list(subjects), rounds)

    def run(name: str) -> None:
        seconds[name].append(clock.seconds(subjects[name], calls))

    def others() -> None:
        for name in queue:
            if name == recorded:
                return
            run(name)

    benchmark.pedantic(lambda: run(recorded), setup=others, rounds=rounds)
    others()  # those that come after it in the last round
    return seconds


def record(
    seconds: Mapping[str, list[float]], work: Work | None, roof: Roof | None, peaks: Mapping[str, int | None]
) -> dict[str, Any]:
    """What stands in extra_info. The first subject is the reference; `times` are multiples of its median."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    reference = next(iter(medians))
    told: dict[str, Any] = {
        "reference": reference,
        "times": {name: median / medians[reference] for name, median in medians.items()},
        "rounds_s": dict(seconds),
        "peak_memory_bytes": dict(peaks),
    }
    if work and roof:
        least = roof.seconds(work)
        told |= work.record() | {"roof": vars(roof), "roofline_s": least}
        told["roofline_share"] = {name: least / median for name, median in medians.items()}
    return told


def peak_memory(call: Callable[[], None], device: torch.device) -> int | None:
    """Bytes that one call had at the most, with what lay there before it; None where no counter is kept."""
    if device.type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats(device)
    call()
    return torch.cuda.max_memory_allocated(device)
