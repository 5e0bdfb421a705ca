"""Signals to a run at random moments: its code, no metric of a cell that was cut short, the same table after.

FAIRTRIAL_SIGNAL_SEED=n replays the moments of a run that printed n. With those of `tox -e soak`, fifty of
each kind are sent.
"""

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from fairtrial.errors import INTERRUPTED, PREEMPTED
from fairtrial.storage.cell_checkpoints import of_study
from fairtrial.storage.record import read
from tests.support.toy import (
    HANG,
    gone,
    group,
    leases,
    records,
    run,
    start,
    store_of,
    table,
    until,
    workers_of,
)

pytestmark = pytest.mark.slow

EAGER = str(Path(__file__).parents[1] / "support" / "eager_worker.py")
STUDY = {"seeds": 36}
TOY = {"TOY_SLEEP_S": "0.5"}  # 72 cells; the signals leave room for about 25
CODES = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: PREEMPTED, signal.SIGUSR1: PREEMPTED}
# (number, to the whole group, while cells run or, if not, maybe before): five of each, and five to the group
KINDS = [(number, False, n % 2 == 0) for number in CODES for n in range(5)]
KINDS += [(number, True, n == 0) for n in range(2) for number in CODES][:5]


def listens(driver):
    """Whether a driver has its handlers: before, a signal ends it as any program."""
    status = Path(f"/proc/{driver.pid}/status").read_text()
    caught = int(status.partition("SigCgt:\t")[2].split()[0], 16)
    return caught >> (signal.SIGUSR1 - 1) & 1


def strike(results, draws, number, to_group, at_work):
    """Start a driver and signal it at a random moment."""
    driver = start(results, study=STUDY, toy=TOY, jobs=2)
    try:
        until(lambda: driver.poll() is not None or (leases(results) if at_work else listens(driver)))
        time.sleep(draws.uniform(0.0, 0.4))
        assert driver.poll() is None, driver.communicate()[1]  # or the study is too short for its signals
        (os.killpg if to_group else os.kill)(driver.pid, number)
        told = driver.communicate(timeout=20)[1]  # a driver that is stuck ends after 7 s
    finally:
        driver.kill()
    assert (driver.returncode, "Traceback" in told) == (CODES[number], False), told
    assert gone(group(driver.pid), 2)
    assert not leases(results) and not list(results.rglob("*.tmp"))


def check_records(results, known, reason):
    """Those that are new; the others stay as they are."""
    for path in (path for path in records(results) if path not in known):
        known[path], attempt = path.read_bytes(), read(path)
        if attempt.status == "interrupted":
            assert attempt.error.what == f"the driver got {reason.name}"
            assert {attempt.measured.test_acc, attempt.measured.val_acc, attempt.measured.test_loss} == {None}
        else:
            assert attempt.status == "done"
    assert {path: path.read_bytes() for path in known} == known


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The table of a run that no signal reaches."""
    folder = tmp_path_factory.mktemp("whole")
    assert run(folder, study=STUDY, jobs=1)[0] == 0
    return table(folder, **STUDY)


@pytest.mark.parametrize("round", [1, *[pytest.param(n, marks=pytest.mark.soak) for n in range(2, 11)]])
def test_signals_at_random_moments_leave_cells_pending_and_change_nothing(tmp_path, whole, round):
    seed = int(os.environ.get("FAIRTRIAL_SIGNAL_SEED", random.SystemRandom().randrange(10**6)))
    print(f"FAIRTRIAL_SIGNAL_SEED={seed}")
    draws, known = random.Random(seed), {}
    for number, *how in draws.sample(KINDS, len(KINDS)):
        strike(tmp_path, draws, number, *how)
        check_records(tmp_path, known, number)
    attempts = store_of(tmp_path).attempts()
    done = {record.cell for record in attempts if record.status == "done"}
    cut = [record for record in attempts if record.status == "interrupted"]
    pending = sum(row["status"] == "pending" for row in table(tmp_path, **STUDY))
    assert len(attempts) == len(done) + len(cut) and pending == len(whole) - len(done)
    print(f"{len(KINDS)} signals, {len(cut)} cells cut short")
    assert len(cut) > len(KINDS) // 4, "few signals hit a cell at work"

    assert run(tmp_path, study=STUDY, jobs=1)[0] == 0
    assert table(tmp_path, **STUDY) == whole
    attempts = store_of(tmp_path).attempts()
    assert {*Counter(record.cell for record in attempts if record.status == "done").values()} == {1}


def test_a_second_sigint_leaves_at_once_and_the_files_are_whole(tmp_path, whole):
    """The driver stands amid the record of a cell that the first one cut short."""
    driver = start(tmp_path, study=STUDY, toy={**HANG, "FAIRTRIAL_FAILPOINT": "result-half:sleep"})
    until(lambda: len(leases(tmp_path)) == 2 or driver.poll() is not None)
    workers = workers_of(driver.pid)
    driver.send_signal(signal.SIGINT)
    until(lambda: list((tmp_path / "toy" / "cells").glob("*.tmp")) or driver.poll() is not None)
    assert driver.poll() is None, driver.communicate()[1]
    driver.send_signal(signal.SIGINT)
    told = driver.communicate(timeout=5)[1]  # without the second one, it would be ended after 7 s
    assert (driver.returncode, "Traceback" in told) == (INTERRUPTED, False)
    assert gone(workers)
    assert store_of(tmp_path).attempts() == [] and len(leases(tmp_path)) == 2
    assert run(tmp_path, study=STUDY, jobs=1)[0] == 0
    ends = Counter(record.status for record in store_of(tmp_path).attempts())
    assert ends == {"done": len(whole), "killed": 2} and table(tmp_path, **STUDY) == whole
    assert not leases(tmp_path) and not list(tmp_path.rglob("*.tmp"))


@pytest.mark.soak
def test_a_sigterm_amid_a_checkpoint_is_harmless(tmp_path):
    """A real worker, with torch, which stands in the middle of its second checkpoint, of two files."""
    study = {"norms": ["bn"], "seeds": 1, "budget": "8st", "val_per_class": 2}
    how = {"study": study, "jobs": 1, "toy": {"TOY_WORKER": EAGER}}
    assert run(tmp_path / "whole", **how)[0] == 0
    results, kept = tmp_path / "hit", of_study(store_of(tmp_path / "hit").folder)
    held = {"FAIRTRIAL_FAILPOINT": "ckpt-half-written:3:sleep"}
    driver = start(results, **how | {"toy": how["toy"] | held})

    def amid():
        before = sorted(kept.glob("*.tmp"))
        time.sleep(0.5)
        return before and sorted(kept.glob("*.tmp")) == before

    until(amid)
    known = {path: path.read_bytes() for path in kept.glob("*[!p]")}
    driver.terminate()
    told = driver.communicate(timeout=20)[1]
    assert (driver.returncode, "Traceback" in told) == (PREEMPTED, False), told
    assert gone(group(driver.pid), 2) and not leases(results)
    assert len(known) == 2 and {path: path.read_bytes() for path in kept.iterdir()} == known
    (cut,) = store_of(results).attempts()
    assert (cut.status, cut.measured.test_acc) == ("interrupted", None)
    code, told = run(results, **how)
    assert code == 0 and "goes on from step 1 of attempt 1" in told
    assert table(results, **study) == table(tmp_path / "whole", **study)
