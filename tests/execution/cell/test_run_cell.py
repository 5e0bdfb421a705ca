"""One cell: what it reads, draws, trains, spends and repeats."""

import base64
import time
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fairtrial.data import Sealed
from fairtrial.execution import step_times
from fairtrial.execution.cell import calibration, prepare
from fairtrial.execution.cell import run_cell as run_cell_module
from fairtrial.execution.cell.calibration import calibrate
from fairtrial.execution.cell.prepare import build_model, build_task, dataset_of
from fairtrial.execution.cell.run_cell import ExecutionContext
from fairtrial.storage.record import attempt_record, cell_message
from fairtrial.study.budget import Budget
from fairtrial.training import optimizer
from fairtrial.training.flops import flops_of_step
from tests.execution.cell.making import cell, run, settings
from tests.support.records import ORIGIN

pytestmark = pytest.mark.slow


def test_the_test_split_is_read_once_and_the_row_shows_it():
    measured = run()["measured"]
    assert measured["test_reads"] == 1
    with pytest.raises(RuntimeError, match="once"):
        sealed = Sealed(torch.zeros(1), torch.zeros(1))
        sealed.open(), sealed.open()


def test_the_stored_bits_are_the_accuracy():
    measured = run()["measured"]
    bits = np.unpackbits(np.frombuffer(base64.b64decode(measured["correct"]), np.uint8))[: measured["test_n"]]
    assert bits.mean() == measured["test_acc"]


def test_validation_images_are_carved_from_the_training_images_and_never_trained_on():
    chosen = settings()
    dataset = dataset_of("digits", 8, False)
    task, subset, test = build_task(chosen, dataset, 4, 0, torch.device("cpu"))
    assert len(subset.train) == 50 and len(subset.val) == 20
    assert not set(subset.train) & set(subset.val)
    seen = {int(i) for step in range(100) for _, ids in task.order.batch(step, 8) for i in ids}
    assert seen == set(subset.train.tolist())
    assert test.reads == 0


def test_arms_share_the_weights_of_convolutions_of_one_name():
    arms = [
        build_model(settings(norm=norm, weight_std=ws), 10, 0, 0)
        for norm in ("bn", "gn")
        for ws in (False, True)
    ]
    convolutions = [
        {n: p for n, p in arm.named_parameters() if "conv" in n or "downsample" in n} for arm in arms
    ]
    assert all(found.keys() == convolutions[0].keys() and len(found) > 10 for found in convolutions)
    for name, weight in convolutions[0].items():
        assert all(torch.equal(weight, other[name]) for other in convolutions[1:]), name


def test_arms_share_images_and_order_and_the_aa_arm_shares_images_alone():
    drawn = [run(norm=norm)["drawn"] for norm in ("bn", "gn")]
    assert drawn[0]["subset"] == drawn[1]["subset"] and drawn[0]["order"] == drawn[1]["order"]
    twin = run(replica=1)["drawn"]
    assert twin["subset"] == drawn[1]["subset"]
    assert twin["order"] != drawn[1]["order"] and twin["init"] != drawn[1]["init"]


def test_a_cell_gives_the_same_bits_again_and_another_seed_others():
    first, again, other = run(), run(), run(seed=1)
    assert first["measured"] == again["measured"]
    assert first["measured"]["weights_sha256"] != other["measured"]["weights_sha256"]
    assert first["drawn"]["subset"] != other["drawn"]["subset"]


def test_a_cell_is_the_same_after_a_failed_one_in_the_same_process(monkeypatch):
    first = run()
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(run_cell_module, "evaluate", _no_memory)
        run()
    assert run()["measured"] == first["measured"]


def _no_memory(*_arguments):
    raise MemoryError


def test_a_diverged_cell_has_no_score_and_leaves_the_test_split_closed():
    result = run(Budget(steps=60), lr=1e30)
    assert result["status"] == "diverged"
    measured = result["measured"]
    assert measured["test_acc"] is None and measured["test_reads"] == 0
    assert 0 <= measured["divergence_step"] < 60 and measured["classes"] == 10


@pytest.mark.parametrize("stage", ["downstream", "tuning"])
@pytest.mark.parametrize("step", [2, 3])  # of three: a loss tells of the first, evaluations alone of the last
@pytest.mark.parametrize(("where", "value"), [("gradient", np.inf), ("weight", np.nan)])
def test_no_number_anywhere_is_a_divergence_with_its_step(monkeypatch, where, value, step, stage):
    steps, usual = [], optimizer.SGD.step

    def poisoned(self, *more):
        steps.append(1)
        weight = self.parameters[0]
        if len(steps) == step and where == "gradient":
            weight.grad.fill_(value)
        usual(self, *more)
        if len(steps) == step and where == "weight":
            weight.detach().view(-1)[0] = value

    monkeypatch.setattr(optimizer.SGD, "step", poisoned)
    result = run(stage=stage)
    measured = result["measured"]
    assert result["status"] == "diverged" and measured["test_acc"] is None
    assert measured["divergence_step"] in (step, step + 1) and len(steps) == 3
    attempt_record("t", cell_message(cell(stage=stage)), 1, result, ORIGIN)


@pytest.mark.parametrize(
    ("budget", "steps"),
    [(Budget(examples=80), 10), (Budget(steps=7), 7), (Budget(seconds=1.0), 4), (Budget(flops=1e9), None)],
)
def test_every_budget_becomes_steps_before_the_first_one(budget, steps):
    spent = run(budget, step_s=0.25)["spent"]
    if steps is None:
        assert spent["flops"] == pytest.approx(1e9, rel=0.5 * flops_of_step("mini", 8, 8, 10) / 1e9)
    else:
        assert spent["steps"] == steps
    assert spent["examples"] == 8 * spent["steps"]


def test_an_arm_made_slower_gets_fewer_steps_under_seconds_and_as_many_under_steps(monkeypatch):
    """The arm `ln` sleeps in each forward pass; its calibrated step is longer by that much."""
    pause = 0.1
    create = prepare.create_model

    def slowed(name, classes, norm, weight_std, **more):
        model = create(name, classes, norm, weight_std, **more)
        if norm == "ln":
            model.register_forward_pre_hook(lambda *_: time.sleep(pause))
        return model

    monkeypatch.setattr(prepare, "create_model", slowed)
    monkeypatch.setattr(step_times, "LAUNCH_S", 0.02)
    arms = [settings(norm="gn"), settings(norm="ln")]
    step_s = dict(calibrate(arms, ["digits", "digits"], ExecutionContext(), rounds=3))
    assert step_s[1] > step_s[0] + 0.5 * pause
    steps = [
        run(Budget(seconds=0.5), norm=arm.norm, step_s=step_s[i])["spent"]["steps"]
        for i, arm in enumerate(arms)
    ]
    assert steps[1] < steps[0] and steps[1] == round(0.5 / step_s[1])
    fixed = [run(Budget(steps=2), norm=arm.norm)["spent"]["steps"] for arm in arms]
    assert fixed == [2, 2]


def test_evaluation_is_timed_by_the_image(monkeypatch):
    ledger = SimpleNamespace(seconds={"eval": 5.0}, book=lambda _: nullcontext())
    monkeypatch.setattr(calibration, "ledger_of", lambda *_: ledger)
    monkeypatch.setattr(calibration, "LOOK_IMAGES", 10)
    (found,) = calibration.looks([settings()], ["digits"], ExecutionContext())
    data = dataset_of("digits", 8, False)
    sizes = {"classes": 10, "train_n": len(data.train_labels), "test_n": len(data.test_labels)}
    assert found == {"image_s": 0.5, **sizes}


def test_seconds_replayed_as_steps_give_the_same_bits():
    timed = run(Budget(seconds=1.0), step_s=0.2)
    replayed = run(Budget(steps=timed["spent"]["steps"]))
    assert timed["measured"] == replayed["measured"]
