"""SIGKILL at random moments, of the driver and of jobs; then the same command gives the same table.

A driver whose jobs die three times in a row while they start gives up (exit code 4), and the same command
goes on from there too. A cell whose job is killed three times ends as an error (exit code 1), and --retry
runs it. FAIRTRIAL_KILL_SEED=n replays the delays and targets of a run that printed n.
"""

import os
import random
import signal
import subprocess
import time
from collections import Counter

import pytest

from fairtrial.errors import FAILED_CELLS, REFUSED
from fairtrial.study.failure_policy import OUTCOMES, STATUSES
from tests.support.toy import children, gone, leases, run, slay, start, store_of, table, until

KILLS = 10
STUDY = {"seeds": 60}  # 120 cells of 200 ms: 12 s for two jobs, where ten kills take 6 s at the most
TOY = {"TOY_SLEEP_S": "0.2"}


def strike(driver, draws, target):
    """Kill the driver or one of its jobs after a random while; who must end of it, None when all was over."""
    try:
        driver.wait(draws.uniform(0.05, 0.6))
        return None
    except subprocess.TimeoutExpired:
        pass
    jobs = children(driver.pid)
    if target == "driver" or not jobs:
        return slay(driver)
    victim = draws.choice(jobs)
    os.kill(victim, signal.SIGKILL)
    return [victim]


def until_at_work(results, driver):
    """Wait until another cell is done, or the driver is: leases may be those of a driver that was killed."""

    def done():
        return sum(record.status == "done" for record in store_of(results).attempts())

    before = done()
    until(lambda: done() > before or driver.poll() is not None)


@pytest.mark.slow
def test_ten_kills_change_nothing(tmp_path):
    seed = int(os.environ.get("FAIRTRIAL_KILL_SEED", random.SystemRandom().randrange(10**6)))
    print(f"FAIRTRIAL_KILL_SEED={seed}")
    draws = random.Random(seed)
    assert run(tmp_path / "whole", study=STUDY)[0] == 0
    targets = ["driver"] * (KILLS // 2) + ["job"] * (KILLS - KILLS // 2)
    draws.shuffle(targets)
    driver, struck = start(tmp_path / "hit", study=STUDY, toy=TOY), 0
    for number, target in enumerate(targets):
        if number % 2:  # a job may take longer to start than any delay, and kills must hit both
            until_at_work(tmp_path / "hit", driver)
        while (pids := strike(driver, draws, target)) is None and driver.returncode == REFUSED:
            driver = start(tmp_path / "hit", study=STUDY, toy=TOY)
        if pids is None:
            break  # finished before its time
        struck += 1
        assert gone(pids), "a process outlived its end"
        if driver.poll() is not None:
            driver = start(tmp_path / "hit", study=STUDY, toy=TOY)
    assert struck == KILLS, "the study is too short for its kills"
    driver.communicate(timeout=60)
    if driver.returncode in (REFUSED, FAILED_CELLS):  # by the last kills; by three on one cell
        driver = start(tmp_path / "hit", study=STUDY, toy=TOY, retry=True)
        driver.communicate(timeout=60)
    assert driver.returncode == 0

    assert table(tmp_path / "hit", **STUDY) == table(tmp_path / "whole", **STUDY)
    assert not leases(tmp_path / "hit")
    assert not list((tmp_path / "hit").rglob("*.tmp"))
    attempts = store_of(tmp_path / "hit").attempts()
    numbers = Counter(record.cell for record in attempts)
    for cell, count in numbers.items():
        assert [r.number for r in attempts if r.cell == cell] == list(range(1, count + 1))
    assert {record.status for record in attempts} <= {*STATUSES}
    ended = [record for record in attempts if record.status not in OUTCOMES]
    assert ended, "no kill hit a cell at work"
    assert all(record.error.what and record.spent.lost_s >= 0 for record in ended)


def test_a_driver_killed_between_publication_and_the_next_cell_loses_nothing(tmp_path):
    driver = start(tmp_path, toy={"bn 1": "hang"}, jobs=1)
    until(lambda: len(list((tmp_path / "toy" / "cells").glob("*.json"))) == 2 and leases(tmp_path))
    time.sleep(0.1)
    slay(driver)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "toy" / "cells").iterdir()}
    assert run(tmp_path)[0] == 0
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())
    assert Counter(record.status for record in store_of(tmp_path).attempts()) == {"done": 6, "killed": 1}
