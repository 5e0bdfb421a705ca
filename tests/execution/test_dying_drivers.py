"""A driver that gets a signal, is killed or meets a full disk leaves what the next one goes on from."""

import errno
import json
import os
import signal
import threading
import time

import pytest

from fairtrial.errors import Fault
from fairtrial.execution import worker_pool
from fairtrial.storage import atomic
from tests.support.toy import (
    HANG,
    acts,
    children,
    ends,
    gone,
    leases,
    run,
    slay,
    start,
    start_at_work,
    statuses,
    store_of,
    table,
    toy_study,
    until,
    workers_of,
)

pytestmark = pytest.mark.slow


# signals, beside those of test_signals_of_a_run.py


def test_a_signal_to_the_group_does_not_reach_workers_that_are_starting(tmp_path):
    driver = start(tmp_path, toy={"TOY_START_S": "0.5", "TOY_SLEEP_S": "60"})
    until(lambda: len(workers_of(driver.pid)) == 2)
    jobs = workers_of(driver.pid)
    for _ in range(20):
        for pid in jobs:
            os.kill(pid, signal.SIGINT)
            os.kill(pid, signal.SIGTERM)
        time.sleep(0.02)
    until(lambda: len(leases(tmp_path)) == 2)
    assert workers_of(driver.pid) == jobs  # both have come up all the same
    driver.terminate()
    assert (driver.communicate(timeout=10)[1], driver.returncode) == ("", 75)


def test_a_signal_ends_a_calibration(tmp_path):
    driver = start(tmp_path, study={"budget": "2s"}, toy={"TOY_CALIBRATE": "hang"})
    until(lambda: workers_of(driver.pid))
    time.sleep(0.5)
    jobs = workers_of(driver.pid)
    driver.terminate()
    driver.communicate(timeout=10)
    assert (driver.returncode, gone(jobs)) == (75, True)
    assert not store_of(tmp_path).calibrations()


# a driver that dies


@pytest.mark.parametrize("act", ["hang", "stuck"])
def test_no_worker_outlives_its_driver_even_when_it_is_stuck_in_a_call(tmp_path, act):
    driver = start_at_work(tmp_path, 3, toy=dict.fromkeys(HANG, act), jobs=3)
    time.sleep(0.2)  # into the call
    jobs = slay(driver)
    assert len(jobs) == 3
    assert gone(jobs)


def test_the_seconds_of_a_killed_driver_are_billed_to_within_a_heartbeat(tmp_path):
    began = time.monotonic()
    driver = start_at_work(tmp_path, 2, beat_s=0.2)
    time.sleep(1.5)
    slay(driver)
    lived = time.monotonic() - began
    assert run(tmp_path, beat_s=0.2)[0] == 0
    billed = [record for record in store_of(tmp_path).attempts() if record.status == "killed"]
    assert [record.error.what for record in billed] == ["the driver ended without a word"] * 2
    for record in billed:
        # at least what ran: a crash gives no free compute; at most the driver's life, a beat and a look more
        assert 1.5 <= record.spent.lost_s <= lived + 2 * (0.2 + worker_pool.POLL_S)
        assert record.provenance.threads == 1


def test_leases_of_another_declaration_are_closed_too(toy, tmp_path):
    slay(start_at_work(tmp_path, 2))
    assert toy(tmp_path, toy_study(norms=("ln", "none"))) == 0
    assert not leases(tmp_path)
    assert [status for status, _ in ends(tmp_path)] == ["killed"] * 2


# a full disk


def test_a_disk_that_fills_while_a_record_is_written_ends_the_run_with_6_and_the_rest_is_intact(
    toy, tmp_path, monkeypatch
):
    write = os.write

    def full(handle, data):
        if b'"status":"done"' in data and b'"seed":1' in data:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data)

    monkeypatch.setattr(atomic.os, "write", full)
    with pytest.raises(Fault, match="could not write") as stopped:
        toy(tmp_path / "hit", jobs=2)
    monkeypatch.setattr(atomic.os, "write", write)
    assert (stopped.value.code, "free some space" in stopped.value.block()) == (6, True)
    found = statuses(tmp_path / "hit")
    assert set(found) == {"done", "pending"}
    assert not list(tmp_path.rglob("*.tmp"))
    assert run(tmp_path / "hit")[0] == 0
    assert run(tmp_path / "whole")[0] == 0
    assert table(tmp_path / "hit") == table(tmp_path / "whole")


def test_a_disk_that_fills_in_the_driver_ends_the_jobs_and_leaves_the_leases_for_later(
    toy, tmp_path, monkeypatch
):
    acts(monkeypatch, TOY=json.dumps(HANG))
    told, write, before = [], os.write, children(os.getpid())  # a pool of another test leaves its tracker

    def full(handle, data):
        if len(told) >= 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        if b'"started"' in data:  # the first lease is the last thing that fits
            told.append(data)
        return write(handle, data)

    monkeypatch.setattr(atomic.os, "write", full)
    with pytest.raises(Fault, match="No space left on device") as stopped:
        toy(tmp_path, jobs=2)
    monkeypatch.undo()
    assert stopped.value.code == 6
    assert gone([pid for pid in children(os.getpid()) if pid not in before])
    assert len(leases(tmp_path)) == 1
    assert run(tmp_path)[0] == 0
    assert [status for status, _ in ends(tmp_path)] == ["killed"]
    assert not leases(tmp_path)


def test_a_disk_that_is_full_when_a_signal_comes_does_not_hide_the_signal(toy, tmp_path, monkeypatch):
    acts(monkeypatch, TOY=json.dumps(HANG))
    write = os.write

    def full(handle, data):
        if b'"interrupted"' in data:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data)

    def signal_once_both_work():
        until(lambda: len(leases(tmp_path)) == 2)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(atomic.os, "write", full)
    threading.Thread(target=signal_once_both_work).start()
    assert toy(tmp_path, jobs=2) == 75
    assert len(leases(tmp_path)) == 2  # the next run bills them
    assert statuses(tmp_path) == ["pending"] * 6
