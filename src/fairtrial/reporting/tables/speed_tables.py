"""Bench results as a table: one row per timing and subject."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fairtrial.reporting.report_item import BENCH, RegistryRow
from fairtrial.reporting.results.timings import Timing, machine_of, number
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.wording import rounded

RATES = (("images", 1.0), ("bytes_moved", 1e9), ("flops", 1e9))
COLUMNS = (
    "task", "bench", "subject", "median ms", "IQR ms", "rounds", "times reference", "quartiles of rounds",
    "images/s", "GB/s", "GFLOP/s", "share of roofline", "peak MB",
)  # fmt: skip


def speed_table(timings: Sequence[Timing]) -> Table:
    """Medians, ratios and what they come to."""
    caption = (
        "Milliseconds of one call, by group: all subjects of a bench timed in turns in one process. Times "
        "reference: median over the median of the reference, which is the subject at 1; quartiles of the "
        "same, round by round. Bytes and operations: the least that the work needs "
        f"(bench/harness/workloads.py). {machine_of(timings)}."
    )
    rows = [_row(timing, name) for timing in timings for name in timing.rounds_s]
    return Table("speed", caption, pd.DataFrame(rows, columns=list(COLUMNS)))


def _row(timing: Timing, name: str) -> list[str]:
    values, median = timing.rounds_s[name], timing.median_s(name)
    low, high = np.quantile(values, [0.25, 0.75])
    first, third = np.quantile(timing.by_round(name), [0.25, 0.75])
    peaks = timing.extra_info.get("peak_memory_bytes")
    peak = number(peaks, name) if isinstance(peaks, dict) else None
    return [
        timing.task, timing.group, name, rounded(1e3 * median, 4), rounded(1e3 * (high - low), 2),
        str(len(values)),
        f"{timing.times(name):.3f}", f"{first:.3f} to {third:.3f}",
        *(_rate(timing, what, median * unit) for what, unit in RATES),
        f"{timing.bound_s / median:.2f}" if timing.bound_s else "", rounded(peak / 1e6, 4) if peak else "",
    ]  # fmt: skip


def _rate(timing: Timing, what: str, seconds: float) -> str:
    done = number(timing.extra_info, what)
    return rounded(done / seconds, 4) if done else ""


ROWS = (RegistryRow(BENCH, lambda timings: [speed_table(timings)]),)
