"""A study on a simulated Ray cluster: killed workers, a removed node, a restarted driver, nothing lost.

A machine that slept and comes back answers too late: its cells are another's. The full numbers run with
`tox -e soak`: 400 cells, 20 killed workers, 24 that slept.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from itertools import chain

import pytest

from fairtrial.cli.main import main
from fairtrial.errors import Fault
from fairtrial.execution import runner, worker_pool
from fairtrial.execution.attempt_log import MACHINE, WORKER
from fairtrial.execution.cell.run_cell import ExecutionContext, run_cell
from fairtrial.execution.suspension import is_stopped
from fairtrial.reporting.results.load import rows
from fairtrial.storage.record import is_timing
from fairtrial.storage.store import Store
from fairtrial.study.budget import Budget
from fairtrial.study.study import Study
from tests.data.making import write_folder
from tests.support.ray_cluster import needs_ray
from tests.support.toy import (
    HANG,
    gone,
    leases,
    records,
    run,
    slay,
    start,
    statuses,
    store_of,
    table,
    toy_study,
    until,
)  # fmt: skip
from tests.support.toy import WORKER as TOY_WORKER

pytestmark = [needs_ray, pytest.mark.slow]
OWN_NORM = """
from torch import nn

PLUGIN = {"norms": {"own": "Own"}}


class Own(nn.Module):
    def __init__(self, channels):
        super().__init__()

    def forward(self, x):
        return x * (x.square().mean((1, 2, 3), keepdim=True) + 1e-5).rsqrt()
"""

OWN_CODE = """
import torch


def run(cell):
    assert cell.saved() is None
    images, labels = cell.train
    weights = torch.zeros(images[0].numel(), cell.classes)
    for step in cell.steps():
        chosen = torch.randint(len(labels), (4,), generator=cell.generator("order", step))
        x = images[chosen].flatten(1) / 255
        weights += 0.01 * x.T @ (torch.eye(cell.classes)[labels[chosen]] - (x @ weights).softmax(1))
        cell.save({"weights": weights})
    return lambda images: images.flatten(1) / 255 @ weights
"""


def done(results):
    return sum(record.status == "done" for record in store_of(results).attempts())


def pid_of(lease):
    """The process of the worker that a cell is leased to; None when it has just ended."""
    with suppress(FileNotFoundError):
        return json.loads(lease.read_text())["pid"]


def pids(results):
    """The processes of the workers that run a cell, by its lease; a record comes before its lease goes."""
    ended = {path.name for path in records(results)}
    return [pid for path in leases(results) if path.name not in ended and (pid := pid_of(path)) is not None]


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


def test_a_signal_ends_the_run_and_leaves_no_process(three_nodes, tmp_path):
    toy = {"TOY_SLEEP_S": "60"}
    driver = start(tmp_path, toy=toy, ray=three_nodes.address, jobs=2)
    try:
        working = until(lambda: len(found := pids(tmp_path)) == 2 and found, 60)
        driver.send_signal(signal.SIGTERM)
        driver.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        slay(driver)
        raise
    assert driver.returncode == 75
    assert gone(working)
    assert statuses(tmp_path) == ["pending"] * 6
    assert not leases(tmp_path)


def test_seconds_get_a_machine_of_their_own_and_one_processor(three_nodes, tmp_path, monkeypatch):
    three_nodes.complete()
    toy = {"TOY_SLEEP_S": "0.5"}
    study, how = {"budget": "2s", "seeds": 3}, {"toy": toy, "ray": three_nodes.address}
    driver = start(tmp_path, study=study, **how)
    most = 0
    while driver.poll() is None:
        most = max(most, len(pids(tmp_path)))
        time.sleep(0.02)
    assert (driver.returncode, most <= 3) == (0, True), driver.communicate()[1]
    code, said = run(tmp_path, study={**study, "seeds": 5}, toy=toy | {"TOY_CPU": "other"}, ray=how["ray"])
    assert code == 4 and "recorded cells ran with cpu" in said


def test_other_code_is_refused(three_nodes, tmp_path, monkeypatch):
    from fairtrial.execution import ray_engine

    monkeypatch.setattr(worker_pool, "ENTRY", (TOY_WORKER,))
    monkeypatch.setattr(ray_engine, "code", lambda: {"fairtrial": "9.9", "code": "0" * 64})
    with pytest.raises(Fault, match=r"runs fairtrial .* this driver 9\.9 \(files 000000000000\)") as refused:
        runner.run(toy_study(), runner.Options(results=tmp_path, ray=three_nodes.address))
    assert refused.value.code == 4
    assert not leases(tmp_path)


def test_a_real_cell_gives_the_same_on_a_node_as_here(three_nodes, tmp_path):
    """Its data lie under a path, its norm in a plug-in; it starts from the checkpoint of another study."""
    three_nodes.complete()
    (tmp_path / "own_norm.py").write_text(OWN_NORM)
    write_folder(tmp_path / "pets", train=4, test=2)
    data = {"data": f"folder:{tmp_path / 'pets'}", "resolution": 8, "shots": 2, "val_per_class": 0}
    fields = {
        "question": "", "factors": {"norm": ("own",)}, "budget": Budget(steps=2), "seeds": (0,),
        "plugins": (str(tmp_path / "own_norm.py"),),
    }  # fmt: skip
    first = Study(name="first", fixed=data | {"stage": "upstream", "batch_size": 4}, **fields)
    then = Study(name="then", fixed=data | {"upstream": "first", "batch_size": 4}, **fields)
    assert runner.run(first, runner.Options(results=tmp_path / "here")) == 0
    shutil.copytree(tmp_path / "here", tmp_path / "ray")
    for name, ray in (("here", None), ("ray", three_nodes.address)):
        assert runner.run(then, runner.Options(results=tmp_path / name, ray=ray, jobs=1)) == 0
    tables = [rows(then.cells(), Store.of(then, tmp_path / name).attempts()) for name in ("here", "ray")]
    here, there = ([{k: v for k, v in row.items() if not is_timing(k)} for row in each] for each in tables)
    assert here == there and here[0]["weights_sha256"]
    (there,) = Store.of(then, tmp_path / "ray").attempts()
    assert there.provenance.plugins == {"own_norm.py": dict(there.settings.extra)["plugins"]}


def test_own_training_code_runs_on_a_node_and_the_run_says_that_it_keeps_no_state(
    three_nodes, tmp_path, capsys
):
    three_nodes.complete()
    (tmp_path / "own.py").write_text(OWN_CODE)
    study = Study(
        "own", "", {"way": ("a",)}, Budget(steps=4), cell=f"{tmp_path}/own.py:run",
        fixed={"resolution": 8, "shots": 2, "val_per_class": 0, "batch_size": 4}, seeds=(0,),
    )  # fmt: skip
    assert runner.run(study, runner.Options(results=tmp_path, ray=three_nodes.address, jobs=1)) == 0
    said = capsys.readouterr().err
    assert said.count("on Ray a cell keeps no state: one that is killed starts anew") == 1
    (there,) = Store.of(study, tmp_path).attempts()
    here = run_cell(study.cells()[0], ExecutionContext())
    assert (there.status, there.spent.steps) == ("done", 4) and there.drawn.subset == here["drawn"]["subset"]
    assert there.measured.correct == here["measured"]["correct"]
    assert there.measured.test_loss == pytest.approx(here["measured"]["test_loss"], abs=1e-6)


def test_a_path_that_a_node_does_not_see_is_one_block_before_the_first_cell(
    three_nodes, tmp_path, monkeypatch
):
    """Each process has a /proc/self/cwd of its own."""
    write_folder(tmp_path / "pets", train=4, test=2)
    monkeypatch.chdir(tmp_path)
    study = toy_study()
    study = replace(study, fixed={**study.fixed, "data": "folder:/proc/self/cwd/pets"})
    monkeypatch.setattr(worker_pool, "ENTRY", (TOY_WORKER,))
    with pytest.raises(Fault, match=r"sees nothing under .*; this machine 12 files of") as refused:
        runner.run(study, runner.Options(results=tmp_path / "r", ray=three_nodes.address))
    (problem,) = refused.value.problems
    assert (refused.value.code, problem.where) == (3, "/proc/self/cwd/pets")
    assert "every machine sees" in problem.do and not list((tmp_path / "r").rglob("cells/*"))


def test_no_cluster_is_said_before_anything_runs(tmp_path, capsys):
    assert main(["run", "norm", "--results", str(tmp_path), "--ray", "127.0.0.1:1"]) == 4
    assert "no Ray cluster answers" in capsys.readouterr().err


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
