"""A driver over many cells grows little, closes what it opens, and never slows down (R26)."""

import os
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.toy import start, statuses, store_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a process is watched in /proc")
MOST_MB = 20
DRIVER_MB = 500  # R18
MOST_SLOWER = 1.5


class Sample(NamedTuple):
    """A driver after so many cells: memory in MB, open files, seconds of processor time."""

    cells: int
    mb: float
    files: int
    cpu_s: float


def sample(pid: int, cells: int) -> Sample:
    process = Path(f"/proc/{pid}")
    pages = int((process / "statm").read_text().split()[1])
    ticks = (process / "stat").read_text().rsplit(")", 1)[1].split()[11:13]
    mb = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return Sample(
        cells, mb, len(list((process / "fd").iterdir())), sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    )


def watched(results: Path, cells: int) -> list[Sample]:
    """Run a toy study -> samples of its driver while it ran."""
    driver = start(results, study={"seeds": cells // 2})
    records, samples = store_of(results).folder / "cells", list[Sample]()
    assert driver.stderr is not None
    reader = threading.Thread(target=driver.stderr.read)  # else the driver waits when the pipe is full
    reader.start()
    while driver.poll() is None and (not samples or samples[-1].cells < cells):
        recorded = len(list(records.glob("*.json")))
        if not samples or recorded > samples[-1].cells:
            samples.append(sample(driver.pid, recorded))
        time.sleep(0.01)
    assert driver.wait(60) == 0
    reader.join()
    driver.stderr.close()
    return samples


def at(samples: list[Sample], cells: int) -> Sample:
    return next(one for one in samples if one.cells >= cells)


@pytest.mark.parametrize("cells", [300, pytest.param(2000, marks=pytest.mark.soak)])
def test_a_driver_neither_grows_nor_slows_down(tmp_path, cells):
    samples = watched(tmp_path, cells)
    assert statuses(tmp_path, seeds=cells // 2) == ["done"] * cells
    early, late = at(samples, 50), samples[-1]  # the last cells may end between two looks
    assert late.cells > 2 * early.cells
    assert late.mb - early.mb < MOST_MB and late.mb < DRIVER_MB
    assert late.files <= early.files + 2  # a record and its folder, while one is written
    if cells > 1000:
        first = at(samples, 150).cpu_s - early.cpu_s
        assert late.cpu_s - at(samples, cells - 120).cpu_s <= MOST_SLOWER * first
