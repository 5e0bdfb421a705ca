"""A suspended study goes on, and the pause is no work and no time-out; a folder that moves is said."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from fairtrial.cli.main import main
from fairtrial.errors import RESOURCES
from fairtrial.execution import runner
from fairtrial.execution.suspension import is_stopped
from fairtrial.reporting.report import study_report
from fairtrial.training.timing import Ledger
from tests.support import studies
from tests.support.records import declared_store, publish
from tests.support.toy import gone, leases, run, start, start_at_work, store_of, table, until, workers_of

pytestmark = pytest.mark.slow

STOPS = """
import os, signal, time
from fairtrial.execution.suspension import WorkClock
clock = WorkClock()
clock.start()
begin, wall = clock.now(), time.monotonic()
print("ready", flush=True)
while time.monotonic() - wall < 4:
    time.sleep(0.01)
print(clock.now() - begin, clock.stalled_s(), time.monotonic() - wall)
"""


def test_a_pause_is_found_whoever_looks_first():
    process = subprocess.Popen([sys.executable, "-c", STOPS], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGSTOP)
    until(lambda: is_stopped(process.pid))
    time.sleep(2.5)
    process.send_signal(signal.SIGCONT)
    worked, stalled, wall = map(float, process.communicate(timeout=30)[0].split())
    assert 2.0 < stalled < wall - 1.0
    assert worked == pytest.approx(wall - stalled, abs=0.1)


def test_a_ledger_books_no_pause():
    now = iter([10.0, 17.0])
    paused = iter([1.0, 6.0])
    ledger = Ledger(lambda: next(now), stalled=lambda: next(paused))
    with ledger.book("train"):
        pass
    assert ledger.seconds["train"] == 2.0


@pytest.mark.parametrize("who", ["group", "driver", "worker"])
def test_a_suspended_study_goes_on_and_nothing_is_timed_out(tmp_path, who):
    study = {"seeds": 1}
    driver = start(
        tmp_path / "r", study=study, toy={"TOY_SLEEP_S": "1.5"}, cell_timeout_s=3.0, beat_s=0.3
    )  # fmt: skip
    until(lambda: leases(tmp_path / "r"))
    workers = workers_of(driver.pid)
    pids = {"group": [driver.pid, *workers], "driver": [driver.pid], "worker": workers}[who]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    until(lambda: all(map(is_stopped, pids)))
    time.sleep(5)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    errors = driver.communicate(timeout=240)[1]
    assert driver.returncode == 0, errors
    assert [a.status for a in store_of(tmp_path / "r").attempts()] == ["done"] * 2
    assert run(tmp_path / "whole", study=study)[0] == 0
    assert table(tmp_path / "r", **study) == table(tmp_path / "whole", **study)


def test_sigterm_ends_a_suspended_study_once_it_goes_on(tmp_path):
    driver = start_at_work(tmp_path, jobs=1)
    workers = workers_of(driver.pid)
    os.killpg(driver.pid, signal.SIGSTOP)
    driver.terminate()
    os.killpg(driver.pid, signal.SIGCONT)
    driver.communicate(timeout=10)
    assert (driver.returncode, gone(workers)) == (75, True)


@pytest.mark.parametrize("how", ["deleted", "renamed", "made anew"])
def test_a_results_folder_that_moves_ends_in_one_block(tmp_path, how):
    results = tmp_path / "r"
    driver = start_at_work(results, jobs=1, beat_s=0.2)
    workers = workers_of(driver.pid)
    if how == "renamed":
        results.rename(tmp_path / "elsewhere")
    else:
        shutil.rmtree(results)
    if how == "made anew":
        (results / "toy" / "cells").mkdir(parents=True)
        (results / "toy" / ".lock").touch()
    errors = driver.communicate(timeout=120)[1]
    assert driver.returncode == RESOURCES
    assert errors.count("error: ") == errors.count("where: ") == 1 and "Traceback" not in errors
    assert "deleted or renamed" in errors
    assert gone(workers)
    assert not list(tmp_path.glob("r/toy/cells/*"))
    if how != "made anew":
        assert not results.exists()
        results = tmp_path / ("elsewhere" if how == "renamed" else "r")
        assert run(results)[0] == 0  # the same command goes on


@pytest.mark.parametrize(("home", "name"), [(study_report, "build"), (runner, "declare_checked")])
def test_a_folder_that_moves_when_all_cells_are_done_ends_in_one_block(
    tmp_path, monkeypatch, capsys, home, name
):
    study, results, usual = studies.study(), tmp_path / "results", getattr(home, name)
    store = declared_store(study, results)
    for cell in study.cells():
        publish(store, cell)

    def moved(*given, **how):
        results.rename(tmp_path / "elsewhere")
        return usual(*given, **how)

    monkeypatch.setattr(home, name, moved)
    studies.write(tmp_path)
    assert main(["run", str(tmp_path / "small.py"), "--results", str(results)]) == RESOURCES
    errors = capsys.readouterr().err
    assert errors.count("error: ") == 1 and "the folder small was deleted or renamed" in errors, errors
