"""The training loop: order of examples, updates, divergence, evaluation."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from fairtrial.models.resnet import create_model, init_weights
from fairtrial.rng import key, stream
from fairtrial.study.recipes import Recipe
from fairtrial.training.augmentation import normalize
from fairtrial.training.batches import Order, Task
from fairtrial.training.cuda_graph import kept
from fairtrial.training.loop import evaluate, fit, update, weights_digest
from fairtrial.training.optimizer import SGD
from fairtrial.training.score import calibration_error
from fairtrial.training.timing import Ledger

RECIPE = Recipe(batch_size=8, micro_batch=None, lr=0.05, warmup=0.0, weight_decay=0.0, mixup=0.0)


def ids_of(order: Order, steps: int, batch_size: int) -> list[int]:
    return [int(i) for step in range(steps) for _, ids in order.batch(step, batch_size) for i in ids]


def test_the_order_of_examples_is_the_same_at_every_batch_size():
    small = ids_of(Order(np.arange(50), 3), 32, 8)
    large = ids_of(Order(np.arange(50), 3), 2, 128)
    assert small == large


def test_every_epoch_is_a_permutation_and_epochs_differ():
    order = ids_of(Order(np.arange(10, 20), 0), 6, 5)
    epochs = [order[start : start + 10] for start in (0, 10, 20)]
    assert all(sorted(epoch) == list(range(10, 20)) for epoch in epochs)
    assert all(a != b for a, b in pairwise(epochs))


def test_a_batch_larger_than_the_data_spans_several_epochs():
    runs = Order(np.arange(3), 0).batch(1, 8)
    assert [(epoch, len(ids)) for epoch, ids in runs] == [(2, 1), (3, 3), (4, 3), (5, 1)]


def test_the_order_can_be_asked_backwards():
    order = Order(np.arange(20), 1)
    forwards = [order.batch(step, 7) for step in range(6)]
    backwards = [order.batch(step, 7) for step in reversed(range(6))][::-1]
    assert [[i.tolist() for _, i in runs] for runs in forwards] == [
        [i.tolist() for _, i in runs] for runs in backwards
    ]


@pytest.mark.parametrize("replicate", [1, 2])
def test_another_seed_gives_another_order(replicate):
    assert ids_of(Order(np.arange(50), 0), 1, 50) != ids_of(Order(np.arange(50), replicate), 1, 50)


def task(n: int = 24, augment: str = "none", replicate: int = 0) -> Task:
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (n, 3, 16, 16), dtype=np.uint8))
    labels = torch.from_numpy(rng.integers(0, 4, n))
    padded = nn.functional.pad(images, (2, 2, 2, 2))
    order = Order(np.arange(n), replicate)
    return Task(padded, labels, images[:6], labels[:6], 4, order, augment, 2, replicate)


def network(norm: str = "gn", weight_std: bool = True) -> nn.Module:
    model = create_model("mini", 4, norm, weight_std)
    init_weights(model, lambda name: stream("init", 0, key(name)))
    nn.init.normal_(model.head.conv.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    return model


def test_mixup_on_and_off_see_the_same_images_in_the_same_order():
    plain, mixed = task(augment="crop-flip"), task(augment="crop-flip")
    for step in range(5):
        x, y = plain.batch(step, 8, 0.0)
        blended, soft = mixed.batch(step, 8, 0.4)
        lam = float(stream("mixup", 0, step * 8 // 24, step).beta(0.4, 0.4))
        partner = stream("mixup", 0, step * 8 // 24, step)
        partner.beta(0.4, 0.4)
        other = x[torch.from_numpy(partner.permutation(8))]
        torch.testing.assert_close(blended, lam * x + (1 - lam) * other)
        assert soft.shape == (8, 4) and y.shape == (8,)


@pytest.mark.parametrize(
    ("norm", "weight_std", "equal"), [("gn", False, True), ("gn", True, True), ("bn", False, False)]
)
def test_four_micro_batches_of_8_give_the_gradient_of_32_unless_the_norm_mixes_the_batch(
    norm, weight_std, equal
):
    x, y = task(32).batch(0, 32, 0.0)
    gradients = []
    for micro in (None, 8):
        model = network(norm, weight_std).train()
        recipe = Recipe(32, micro, 0.0, 0.0, 0.0, 0.0)
        update(model, SGD(model.parameters(), lr=0.0, momentum=0.9, weight_decay=0.0), x, y, recipe)
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    gap = float((gradients[0] - gradients[1]).norm() / gradients[0].norm())
    assert gap < 1e-5 if equal else gap > 1e-2


def test_the_loss_of_micro_batches_is_that_of_the_batch():
    x, y = task(32).batch(0, 32, 0.0)
    losses = []
    for micro in (None, 8):
        model = network()
        losses.append(
            update(
                model,
                SGD(model.parameters(), lr=0.0, momentum=0.9, weight_decay=0.0),
                x,
                y,
                Recipe(32, micro, 0, 0, 0, 0),
            )
        )
    torch.testing.assert_close(*losses)


def test_training_learns_and_looks_at_validation_images_four_times():
    outcome = fit(network(), task(), RECIPE, 40, Ledger())
    assert outcome.steps == 40 and outcome.divergence_step is None
    assert [step for step, _, _ in outcome.val_curve] == [10, 20, 30, 40]
    assert (
        outcome.val_curve[-1][2] < outcome.val_curve[0][2]
    )  # the validation images here are training images
    assert outcome.train_loss < math.log(4)
    assert [step for step, _ in outcome.train_curve] == [10, 20, 30, 40]
    assert outcome.train_curve[-1][1] < outcome.train_curve[0][1]
    assert outcome.train_loss == pytest.approx(outcome.train_curve[-1][1], abs=0.2)


def test_a_single_step_is_a_whole_schedule():
    assert fit(network(), task(), RECIPE, 1, Ledger()).steps == 1


def test_a_loss_that_is_no_number_ends_the_training_and_names_its_step():
    model = network()
    count = 0

    def poison(_module, _inputs, output):
        nonlocal count
        count += 1
        return output * float("nan") if count == 4 else output

    model.register_forward_hook(poison)
    outcome = fit(model, task(), RECIPE, 200, Ledger(), validate=False)
    assert outcome.divergence_step == 3 and outcome.train_loss is None
    assert outcome.steps <= 50, "the rest of the budget is not burnt"


def test_the_same_seed_trains_to_the_same_bits_and_another_does_not():
    digests = []
    for replicate in (0, 0, 1):
        model = network("bn")
        fit(model, task(augment="crop-flip", replicate=replicate), RECIPE, 12, Ledger())
        digests.append(weights_digest(model))
    assert digests[0] == digests[1] != digests[2]


def test_train_and_validation_time_are_booked_apart():
    ticks = iter(range(1000))
    ledger = Ledger(now=lambda: float(next(ticks)))
    fit(network(), task(), RECIPE, 8, ledger)
    assert ledger.seconds["train"] == 4 and ledger.seconds["eval"] == 4  # one tick per segment, four of each


def test_evaluation_does_not_depend_on_its_batch():
    model, some, seen = network("bn"), task(24), []
    model.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    images = some.images[:, :, 2:-2, 2:-2]
    whole = evaluate(model, images, some.labels)
    parts = evaluate(model, images, some.labels, most=5)
    assert seen == [24, 5, 5, 5, 5, 4]
    assert whole.accuracy == parts.accuracy == whole.correct.mean()
    assert whole.loss == pytest.approx(parts.loss, rel=1e-5)


def test_the_learning_rate_is_a_function_of_the_spent_fraction():
    recipe = Recipe(64, None, lr=0.8, warmup=0.25, weight_decay=0.0, mixup=0.0)
    assert [recipe.lr_at(f) for f in (0.0, 0.125, 0.25)] == pytest.approx([0.0, 0.4, 0.8])
    assert recipe.lr_at(0.625) == pytest.approx(0.4)
    assert recipe.lr_at(1.0) == pytest.approx(0.0)


def test_runs_before_a_capture_leave_the_statistics_of_bn_as_they_were():
    """Also when memory runs out in one of them: the cell then goes on without a graph."""
    model = create_model("mini", 4, "bn").train()
    before = [buffer.clone() for buffer in model.buffers()]
    with pytest.raises(MemoryError), kept(model):
        model(torch.rand(4, 3, 16, 16))
        assert any(not torch.equal(*pair) for pair in zip(model.buffers(), before, strict=True))
        raise MemoryError
    assert all(torch.equal(*pair) for pair in zip(model.buffers(), before, strict=True))


def test_the_calibration_error_is_the_gap_of_each_bin_weighted_by_its_answers():
    """Ten answers at 0.95, nine right; four at 0.5, all right: 10/14 |0.95 - 0.9| + 4/14 |0.5 - 1|."""
    sure = np.array([0.95] * 10 + [0.5] * 4, dtype=np.float32)
    correct = np.array([True] * 9 + [False] + [True] * 4)
    assert calibration_error(sure, correct) == pytest.approx((10 * 0.05 + 4 * 0.5) / 14, abs=1e-6)
    assert calibration_error(np.ones(3, np.float32), np.ones(3, bool)) == 0


def test_an_evaluation_says_how_calibrated_its_answers_are():
    model, made = network(), task()
    score = evaluate(model, made.val_images, made.val_labels)
    logits = model.eval()(normalize(made.val_images)).softmax(1).amax(1)
    assert score.calibration == pytest.approx(
        calibration_error(logits.detach().numpy(), score.correct), abs=1e-5
    )
