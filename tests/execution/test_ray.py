"""A study on a simulated Ray cluster: killed workers, a removed node, a restarted driver, nothing lost.

A machine that slept and comes back answers too late: its cells are another's. The full numbers run with
`tox -e soak`: 400 cells, 20 killed workers, 24 that slept.
"""

import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from itertools import chain

import pytest

from fairtrial.execution.attempt_log import MACHINE, WORKER
from fairtrial.execution.suspension import is_stopped
from tests.support.ray_cluster import needs_ray
from tests.support.toy import (
    HANG,
    leases,
    pid_of,
    pids,
    records,
    run,
    slay,
    start,
    store_of,
    table,
    until,
)  # fmt: skip

pytestmark = [needs_ray, pytest.mark.slow]


def done(results):
    return sum(record.status == "done" for record in store_of(results).attempts())


def texts(results):
    return {path: path.read_bytes() for path in records(results)}


def kill_one(results, draws):
    """SIGKILL a worker that runs a cell."""
    victim = draws.choice(until(lambda: pids(results)))
    try:
        os.kill(victim, signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return 1


def halted(nodes, results):
    """Stop a worker amid its cell, which is not finished before its node is gone -> the node."""
    pid = next(filter(nodes.node_of, pids(results)), None)
    if pid is None:
        return None
    node = nodes.node_of(pid)
    with suppress(ProcessLookupError):  # it has ended meanwhile: another one is found
        os.kill(pid, signal.SIGSTOP)
        time.sleep(1)  # an answer that was on its way when the worker stopped has arrived
        if pid in pids(results):
            return node
        os.kill(pid, signal.SIGCONT)
    return None


def slay_amid_cells(driver, results):
    """SIGKILL a driver that has handed out cells."""

    def handed_out():
        driver.send_signal(signal.SIGSTOP)  # or a cell could end before it is killed
        until(lambda: is_stopped(driver.pid))
        if not (at_work := pids(results)):
            driver.send_signal(signal.SIGCONT)
        return at_work

    until(handed_out, 60)
    slay(driver)


def sleep_and_wake(nodes, asleep, results, then=lambda: None):
    """Let machines sleep until their cells are others', and wake them; how many cells they had.

    then: called while they sleep.
    """
    halted = {node: nodes.halt(node) for node in asleep}
    time.sleep(1)  # an answer that was on its way has arrived
    then()
    held = [path.stem for path in leases(results) if pid_of(path) in chain(*halted.values())]

    def given_to_others():
        attempts = [path.stem for path in (*records(results), *leases(results))]
        return all(any(_later(other, one) for other in attempts) for one in held)

    until(given_to_others)
    for node, processes in halted.items():
        nodes.wake(node, processes)
    lost = [record for record in store_of(results).attempts() if f"{record.cell}-{record.number}" in held]
    assert [(record.status, record.error.where) for record in lost] == [("killed", MACHINE)] * len(held)
    return len(held)


def _later(one, other):
    """Whether the first is a later attempt of the same cell, by the names of their files."""
    (cell, number), (same, before) = one.rsplit("-", 1), other.rsplit("-", 1)
    return cell == same and int(number) > int(before)


def disturb(nodes, results, study, toy, kills, jobs):
    """Run a study; kill workers, the driver, and more workers under the next one; remove a node; one sleeps.

    The exit code, and the records that were there before the last driver ended.
    """
    draws = random.Random(7)
    how = {"study": study, "toy": toy, "ray": nodes.address, "jobs": jobs, "retry": True}
    driver = None
    for _ in range(2):
        if driver is not None:
            slay_amid_cells(driver, results)
        driver, before, killed = start(results, **how), done(results), 0
        while killed < kills // 2:
            until(lambda: done(results) > before + 2 or driver.poll() is not None, 120)  # noqa: B023
            assert driver.poll() is None, "the study is too short for its kills"
            killed += kill_one(results, draws)
            before = done(results)
    nodes.remove(until(lambda: halted(nodes, results), 60))
    assert sleep_and_wake(nodes, [until(lambda: halted(nodes, results), 60)], results)
    finished = texts(results)
    said = driver.communicate(timeout=500)[1]
    assert driver.returncode in (0, 1) and "Traceback" not in said, said
    return driver.returncode, finished


def check(nodes, tmp_path, *, seeds, kills, sleep_s, jobs):
    study, toy = {"seeds": seeds}, {"TOY_SLEEP_S": str(sleep_s)}
    code, finished = disturb(nodes, tmp_path / "hit", study, toy, kills, jobs)
    nodes.complete()
    if code:  # a cell was killed three times
        again = run(tmp_path / "hit", study=study, ray=nodes.address, jobs=jobs, retry=True)
        assert again[0] == 0, again[1]
    assert run(tmp_path / "whole", study=study, jobs=1)[0] == 0
    assert table(tmp_path / "hit", **study) == table(tmp_path / "whole", **study)
    assert {path: path.read_bytes() for path in finished} == finished  # none lost or written anew
    attempts = store_of(tmp_path / "hit").attempts()
    cells = Counter(record.cell for record in attempts if record.status == "done")
    assert len(cells) == 2 * seeds and set(cells.values()) == {1}
    for cell, count in Counter(record.cell for record in attempts).items():
        assert [r.number for r in attempts if r.cell == cell] == list(range(1, count + 1))
    assert not leases(tmp_path / "hit") and not list((tmp_path / "hit").rglob("*.tmp"))
    ends = Counter((r.status, r.error.where) for r in attempts if r.error)
    print(f"{2 * seeds} cells, {kills} kills: {dict(ends)}")
    return ends


def test_kills_a_removed_node_and_a_restarted_driver_change_nothing(three_nodes, tmp_path):
    ends = check(three_nodes, tmp_path, seeds=40, kills=4, sleep_s=0.5, jobs=8)
    assert {("killed", WORKER), ("killed", MACHINE), ("killed", "driver")} <= set(ends)


@pytest.mark.soak
def test_400_cells_with_20_kills(three_nodes, tmp_path):
    check(three_nodes, tmp_path, seeds=200, kills=20, sleep_s=0.5, jobs=8)


@pytest.mark.soak
@pytest.mark.parametrize("number", range(4))
def test_six_workers_that_sleep_and_answer_late_change_nothing(three_nodes, tmp_path, number):
    study, mark = {"seeds": 4}, tmp_path / "mark"
    assert run(tmp_path / "whole", study=study, jobs=1)[0] == 0
    three_nodes.complete()
    acts = dict.fromkeys(HANG, "wait") | {"bn 0": "wait longer"}  # with it, the driver hears late answers too
    toy = {**acts, "TOY_MARK": str(mark)}
    driver = start(tmp_path / "hit", study=study, toy=toy, ray=three_nodes.address, jobs=8)
    try:
        until(lambda: len([*filter(three_nodes.node_of, pids(tmp_path / "hit"))]) == 6)
        assert sleep_and_wake(three_nodes, three_nodes.nodes[1:], tmp_path / "hit", mark.touch) == 6
        assert driver.poll() is None
        mark.with_name("mark.longer").touch()
        said = driver.communicate(timeout=300)[1]
    finally:
        driver.kill()
    assert driver.returncode == 0 and "Traceback" not in said, said
    assert table(tmp_path / "hit", **study) == table(tmp_path / "whole", **study)
    done = Counter(record.cell for record in store_of(tmp_path / "hit").attempts() if record.status == "done")
    assert len(done) == 8 and {*done.values()} == {1}


def rate(results):
    """Cells a second, from when the first eight were done until the last one was."""
    ended = sorted(record.provenance.ended for record in store_of(results).attempts())
    return (len(ended) - 8) / (ended[-1] - ended[7])


@pytest.mark.soak
def test_eight_at_a_time_are_nearly_as_fast_as_eight_workers_here(three_nodes, tmp_path):
    three_nodes.complete()
    study, toy = {"seeds": 40}, {"TOY_SLEEP_S": "1"}
    for name, how in (("ray", {"ray": three_nodes.address}), ("here", {})):
        driver = start(tmp_path / name, study=study, toy=toy, jobs=8, **how)
        said = driver.communicate(timeout=300)[1]
        assert driver.returncode == 0, said
    share = rate(tmp_path / "ray") / rate(tmp_path / "here")
    print(f"cells a second: {rate(tmp_path / 'ray'):.2f} on Ray, {rate(tmp_path / 'here'):.2f} here")
    assert share >= 0.9
