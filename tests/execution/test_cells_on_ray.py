"""Cells on nodes of a simulated Ray cluster: what a node must have, what it gives, how a signal ends it."""

import shutil
import signal
import subprocess
import time
from dataclasses import replace

import pytest

from fairtrial.cli.main import main
from fairtrial.errors import Fault
from fairtrial.execution import runner, worker_pool
from fairtrial.execution.cell.run_cell import ExecutionContext, run_cell
from fairtrial.reporting.results.load import rows
from fairtrial.storage.record import is_timing
from fairtrial.storage.store import Store
from fairtrial.study.budget import Budget
from fairtrial.study.study import Study
from tests.data.making import write_folder
from tests.support.ray_cluster import needs_ray
from tests.support.toy import WORKER as TOY_WORKER
from tests.support.toy import (
    gone,
    leases,
    pids,
    run,
    slay,
    start,
    statuses,
    toy_study,
    until,
)  # fmt: skip

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
