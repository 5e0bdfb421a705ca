"""SIGKILL at random moments, of the driver and of workers; then the same command gives the same table.

A driver whose workers die three times in a row while they start gives up (exit code 4), and the same command
goes on from there too. A cell whose worker is killed three times ends as an error (exit code 1), and --retry
runs it. FAIRTRIAL_KILL_SEED=n replays the delays and targets of a run that printed n. With those of
`tox -e soak`, 200 workers and 50 drivers are killed.
"""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress

import pytest

from fairtrial.errors import REFUSED
from fairtrial.storage.record import read
from fairtrial.study.failure_policy import OUTCOMES, STATUSES
from tests.support.toy import gone, leases, records, run, slay, start, store_of, table, until, workers_of

STUDY = {"seeds": 60}
HOW = {"study": STUDY, "jobs": 4}
TOY = {"TOY_SLEEP_S": "0.7"}  # 21 s for four workers, without the cells that are lost; the last run has none


class Struck:
    """A study whose driver and workers are killed; what was finished at each strike stays as it was."""

    def __init__(self, results, draws):
        self.results, self.draws, self.finished = results, draws, {}
        self.driver = start(results, toy=TOY, **HOW)

    def strike(self, target):
        """Kill the driver or one of its workers after a random while; False when all was over before."""
        while self._ended(self.draws.uniform(0.02, 0.25)):
            if self.driver.returncode != REFUSED:
                return False
            self._again()
        if target == "worker" and (workers := workers_of(self.driver.pid)):
            victims = [self.draws.choice(workers)]
            with suppress(ProcessLookupError):  # its driver gives up, and has ended it
                os.kill(victims[0], signal.SIGKILL)
        else:
            victims = slay(self.driver)
        assert gone(victims), "a process outlived its end"
        self.note()
        if self.driver.poll() is not None:
            self._again()
        return True

    def _ended(self, seconds):
        try:
            self.driver.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        self.driver.stderr.close()
        return True

    def _again(self):
        self.driver = start(self.results, toy=TOY, **HOW)

    def until_at_work(self):
        """Wait until another cell is done, or the driver is: leases may be those of one that was killed."""
        before = len(records(self.results))
        until(lambda: len(records(self.results)) > before or self.driver.poll() is not None)

    def note(self):
        """Keep what stands in each record; every one that is visible is whole."""
        for path in records(self.results):
            if path not in self.finished:
                read(path)
                self.finished[path] = path.read_bytes()


def kill(results, draws, workers, drivers):
    """A study under so many kills, finished by one more run."""
    targets = ["driver"] * drivers + ["worker"] * workers
    draws.shuffle(targets)
    struck = Struck(results, draws)
    try:
        for number, target in enumerate(targets):
            if number % 2:  # a worker may take longer to start than any delay, and kills must hit both
                struck.until_at_work()
            assert struck.strike(target), "the study is too short for its kills"
    finally:
        struck.driver.kill()
        struck.driver.communicate()
    struck.note()
    code, told = run(results, retry=True, **HOW)
    assert code == 0, told
    assert {path: path.read_bytes() for path in struck.finished} == struck.finished  # none lost or rewritten


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The table of a run that nothing hits."""
    folder = tmp_path_factory.mktemp("whole")
    assert run(folder, study=STUDY, jobs=1)[0] == 0
    return table(folder, **STUDY)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workers", "drivers"), [(30, 10), *[pytest.param(43, 10, marks=pytest.mark.soak)] * 4]
)
def test_kills_change_nothing(tmp_path, whole, workers, drivers):
    seed = int(os.environ.get("FAIRTRIAL_KILL_SEED", random.SystemRandom().randrange(10**6)))
    print(f"FAIRTRIAL_KILL_SEED={seed}")
    kill(tmp_path, random.Random(seed), workers, drivers)

    assert table(tmp_path, **STUDY) == whole
    assert not leases(tmp_path)
    assert not list(tmp_path.rglob("*.tmp"))
    attempts = store_of(tmp_path).attempts()
    numbers, counted = {}, Counter(record.cell for record in attempts if record.status in OUTCOMES)
    for record in attempts:
        numbers.setdefault(record.cell, []).append(record.number)
    assert all(sorted(found) == [*range(1, len(found) + 1)] for found in numbers.values())
    assert counted.keys() == numbers.keys() and {*counted.values()} == {1}  # each cell ended once
    assert {record.status for record in attempts} <= {*STATUSES}
    ended = [record for record in attempts if record.status not in OUTCOMES]
    assert len(ended) > (workers + drivers) // 4, "few kills hit a cell at work"
    assert all(record.error.what and record.spent.lost_s >= 0 for record in ended)
    print(f"{workers} + {drivers} kills, {dict(Counter(r.error.where for r in ended))}")


def test_a_driver_killed_between_publication_and_the_next_cell_loses_nothing(tmp_path):
    driver = start(tmp_path, toy={"bn 1": "hang"}, jobs=1)
    until(lambda: len(records(tmp_path)) == 2 and leases(tmp_path))
    time.sleep(0.1)
    slay(driver)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "toy" / "cells").iterdir()}
    assert run(tmp_path)[0] == 0
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())
    assert Counter(record.status for record in store_of(tmp_path).attempts()) == {"done": 6, "killed": 1}
