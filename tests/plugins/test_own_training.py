"""Own training code as a cell: what it is given, what is taken from it, what is refused."""

import numpy as np
import pytest
import torch

from fairtrial import Budget, Study
from fairtrial.errors import Fault
from fairtrial.execution.cell.calibration import calibrate
from fairtrial.execution.cell.cell_function import CellRun
from fairtrial.execution.cell.run_cell import ExecutionContext, run_cell
from fairtrial.training.timing import Ledger

TEXT = """\
import numpy as np
import torch


def run(cell):
    images, labels = cell.train
    weights = torch.zeros(images[0].numel(), cell.classes)
    for step in cell.steps():
        if step == cell.settings.get("leaves"):
            break
        chosen = torch.randint(len(labels), (8,), generator=cell.generator("order", step))
        x = images[chosen].flatten(1) / 255
        weights += 0.01 * x.T @ (torch.eye(cell.classes)[labels[chosen]] - (x @ weights).softmax(1))
        weights += 1e-3 * torch.randn(1) * np.random.rand()
    if cell.settings.get("answers") == "classes":
        return lambda images: (images.flatten(1) / 255 @ weights).argmax(1)
    return lambda images: images.flatten(1) / 255 @ weights


def broken(cell):
    return None


def twice(cell):
    return [*cell.steps(), *cell.steps()]
"""


@pytest.fixture
def study(tmp_path):
    def make(function="run", budget=None, **changes):
        (tmp_path / "own.py").write_text(TEXT)
        fields = {"factors": {"way": ("a", "b")}, "fixed": {"shots": 5, "batch_size": 8}, "aa": {"way": "a"}}
        return Study(
            name="toy", question="?", cell=f"{tmp_path}/own.py:{function}", seeds=range(3),
            budget=budget or Budget(steps=6), **{**fields, **changes},
        )  # fmt: skip

    return make


def ran(study, index=0, **changes):
    return run_cell(study.cells()[index], ExecutionContext(), **changes)


def test_a_cell_of_own_code_repeats_bit_for_bit_and_is_paired(study):
    made = study()
    first, other, twin = (ran(made, index) for index in (0, 1, 2))
    assert first["status"] == "done" and first["spent"]["steps"] == 6 and first["spent"]["examples"] == 48
    assert first["measured"] == ran(made)["measured"] == other["measured"]  # "way" is read by nobody
    assert first["measured"]["test_reads"] == 1 and first["measured"]["correct"]
    # the A/A arm: the same images, other draws
    assert twin["drawn"]["subset"] == first["drawn"]["subset"]
    assert twin["measured"]["test_loss"] != first["measured"]["test_loss"]


def test_a_trial_is_scored_on_validation_images_and_leaves_the_test_split_sealed(study):
    made = study(fixed={"shots": 5, "batch_size": 8, "val_per_class": 4, "stage": "tuning"}, aa=None)
    measured = ran(made)["measured"]
    assert (measured["test_reads"], measured["val_n"]) == (0, 40)
    assert measured["val_curve"] == [[6, measured["val_acc"], pytest.approx(2.3, abs=0.3)]]
    assert measured["test_acc"] is None and measured["correct"] is None


def test_its_training_labels_are_noisy_where_the_arm_says_so_and_those_that_judge_are_not(study):
    few = {"shots": 5, "batch_size": 8, "val_per_class": 5, "label_noise": 0.5}
    clean, noisy = (
        CellRun(study(fixed=few | {"label_noise": share}).cells()[0], ExecutionContext(), Ledger())
        for share in (0.0, 0.5)
    )
    assert torch.equal(clean.train[0], noisy.train[0])
    assert 0.2 < (clean.train[1] != noisy.train[1]).double().mean() < 0.8
    assert torch.equal(clean.validation[1], noisy.validation[1])
    assert 0 <= ran(study())["measured"]["test_ece"] <= 1


def test_code_that_leaves_early_has_spent_less(study):
    assert ran(study(factors={"leaves": (2, 3)}, aa=None))["spent"]["steps"] == 2


def test_steps_are_not_taken_twice_under_one_budget(study):
    with pytest.raises(RuntimeError, match="the steps of a cell are taken once"):
        ran(study("twice"))


def test_what_is_no_score_of_each_class_is_refused_with_its_shape(study):
    with pytest.raises(ValueError, match=r"own.py:16: .*int64 for .* images; expected scores of 10 classes"):
        ran(study(factors={"answers": ("classes", "scores")}, aa=None))
    with pytest.raises(TypeError, match="returned NoneType; return a function"):
        ran(study("broken"))


def test_a_budget_in_seconds_is_timed_over_its_steps(study):
    made = study(budget=Budget(seconds=1))
    cell = made.cells()[0]
    ((index, step_s),) = calibrate([cell.settings], [cell.data], ExecutionContext(), 1)
    assert index == 0 and 0 < step_s < 1
    assert ran(made, step_s=0.25)["spent"]["steps"] == 4


def test_its_study_is_read_again_from_the_declaration(study):
    made = study()
    same = Study.of(made.declaration())
    assert [cell.id for cell in same.cells()] == [cell.id for cell in made.cells()]
    other = {cell.id for cell in study("broken").cells()}
    assert not other & {cell.id for cell in made.cells()}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"function": "missing"}, "defines no 'missing'"),
        ({"budget": Budget(flops=1e6)}, "operations are not counted"),
        ({"factors": {"Way": (1, 2)}, "aa": None}, "unknown factor 'Way'"),
        ({"factors": {"way": (1, [2])}, "aa": None}, "not a plain value"),
    ],
)
def test_what_it_cannot_be_asked_for_is_a_fault(study, changes, words):
    with pytest.raises(Fault, match=words):
        study(**changes)


def test_a_function_itself_is_known_by_its_file_or_by_its_own_source(study):
    def alone(cell):
        import torch

        weights = torch.ones(cell.train[0][0].numel(), cell.classes)
        for _ in cell.steps():
            weights *= 0.5
        return lambda images: images.flatten(1) / 255 @ weights

    def leaning(cell):
        return lambda images: np.zeros(torch.ones(1))

    made = Study(
        name="toy", question="?", cell=alone, factors={"way": (1, 2)}, budget=Budget(steps=2), seeds=range(3)
    )
    assert made.plugins[0].text.startswith("def alone(cell):\n    import torch")
    assert ran(made)["spent"]["steps"] == 2
    with pytest.raises(Fault, match="leaning uses names of the notebook or script: np, torch"):
        Study(name="toy", question="?", cell=leaning, factors={"way": (1, 2)}, budget=Budget(steps=2))
