"""One start for all arms, exact micro-batches, what a network refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fairtrial.layers import CONVS, NORMS
from fairtrial.models.resnet import MODELS, Built, create_model, init_weights
from tests.models.making import awake, batch, draw, shape_only, started

ARMS = [(norm, weight_std) for norm in NORMS for weight_std in CONVS]


def test_convolutions_start_equal_in_all_arms():
    reference = dict(started("bn", False).named_parameters())
    for arm in ARMS:
        for name, value in started(*arm).named_parameters():
            assert name not in reference or torch.equal(value, reference[name]), (arm, name)


def test_another_draw_gives_another_start():
    model = started()
    before = {name: value.clone() for name, value in model.named_parameters() if "conv" in name}
    init_weights(model, lambda name: draw(name, seed=1))
    same = [
        name
        for name, value in model.named_parameters()
        if name in before and torch.equal(value, before[name])
    ]
    assert same == ["head.conv.weight", "head.conv.bias"]


def test_each_convolution_asks_for_its_own_name_once():
    asked = []
    model = create_model("mini", 10)
    init_weights(model, lambda name: asked.append(name) or draw(name))
    body = [
        name for name, value in model.named_parameters() if value.ndim == 4 and not name.startswith("head")
    ]
    assert asked == body


def test_the_start_is_he_normal_with_a_silent_head():
    model = started(name="mini-x3")
    for name, value in model.named_parameters():
        if name.startswith("head.conv") or name.endswith("bias"):
            assert not value.any()
        elif value.ndim == 1:
            assert (value == 1).all()
        elif value.numel() > 50_000:  # the relative error of a standard deviation is 1 / sqrt(2 n): 0.3 %
            assert value.std().item() == pytest.approx(math.sqrt(2 / value[0].numel()), rel=0.015), name
            assert abs(value.mean().item()) < 4 * value.std().item() / math.sqrt(value.numel()), name


def test_a_second_start_forgets_the_running_statistics():
    model = started("bn")
    fresh = {key: value.clone() for key, value in model.state_dict().items()}
    model(batch(4)[0])
    init_weights(model, draw)
    assert all(torch.equal(value, fresh[key]) for key, value in model.state_dict().items())


def test_making_and_starting_a_network_leaves_the_global_generators_alone():
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    started()
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


@pytest.mark.parametrize("arm", ARMS, ids=str)
def test_every_arm_gives_logits_and_a_gradient_for_every_parameter(arm):
    model = awake(started(*arm))
    images, labels = batch(4)
    logits = model(images)
    F.cross_entropy(logits, labels).backward()
    assert logits.shape == (4, 10)
    assert all(value.grad.isfinite().all() and value.grad.any() for value in model.parameters())


@pytest.mark.parametrize("arm", [("gn", True), ("bn", False)], ids=str)
def test_a_repeat_is_bit_identical(arm):
    def gradients():
        model = awake(started(*arm))
        images, labels = batch(8)
        F.cross_entropy(model(images), labels).backward()
        return [value.grad for value in model.parameters()]

    assert all(torch.equal(a, b) for a, b in zip(gradients(), gradients(), strict=True))


def accumulated(arm: tuple, micro_batch: int, **options) -> torch.Tensor:
    """The gradient of the mean loss of 8 images, seen `micro_batch` at a time, as one vector in float64.

    In float64, whose rounding is far below 1e-10: what is left is the statistics.
    """
    model = awake(started(*arm, **options)).double()
    images, labels = batch(8)
    for x, y in zip(images.double().split(micro_batch), labels.split(micro_batch), strict=True):
        (F.cross_entropy(model(x), y) * len(x) / 8).backward()
    return torch.cat([value.grad.flatten() for value in model.parameters()])


def relative_difference(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


@pytest.mark.parametrize("arm", [arm for arm in ARMS if not NORMS[arm[0]].mixes_batch], ids=str)
def test_micro_batches_are_exact_where_the_batch_is_not_mixed(arm):
    assert relative_difference(accumulated(arm, 2), accumulated(arm, 8)) < 1e-10


def test_micro_batches_change_bn():
    assert relative_difference(accumulated(("bn", False), 2), accumulated(("bn", False), 8)) > 0.01


def test_micro_batches_are_exact_again_for_bn_with_statistics_of_their_size():
    arm = ("bn", False)
    assert relative_difference(accumulated(arm, 2), accumulated(arm, 8, stat_batch=2)) < 1e-10


def test_an_unknown_model_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown model 'r50'; known: mini-half, mini, .*r152x4"):
        create_model("r50", 10)


def test_an_unknown_norm_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown norm 'xx'; known: bn, gn, ln, in, none, frn, evonorm_s0"):
        create_model("mini", 10, "xx")


def test_an_unknown_weight_standardization_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown weight_std 'yes'; known: False, True, scaled"):
        create_model("mini", 10, "gn", "yes")


def test_a_network_says_what_it_was_built_as():
    assert create_model("mini", 7, "bn", "scaled", stat_batch=4).built == Built("mini", 7, "bn", "scaled", 4)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in ("mini", "r50x1") else pytest.mark.soak) for name in MODELS],
)
@pytest.mark.parametrize(("norm", "weight_std"), [("frn", True), ("evonorm_s0", False), ("none", "scaled")])
def test_every_network_takes_every_kind_of_arm(name, norm, weight_std):
    model = shape_only(name, 21843, norm, weight_std)
    assert model(torch.empty(2, 3, 64, 64, device="meta")).shape == (2, 21843)


@pytest.mark.parametrize("norm", NORMS)
def test_a_norm_that_activates_gets_no_relu_after_it(norm):
    """With an identity as its first norm, a unit's first convolution sees the input itself, or its relu."""
    unit = started(norm, False).body.block1.unit01
    unit.norm1 = torch.nn.Identity()
    seen = []
    unit.conv1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = batch(2)[0].repeat(1, 6, 1, 1)[:, :16]
    unit(x)
    assert torch.equal(seen[0], x if NORMS[norm].activates else x.clamp(min=0))


def test_the_logits_are_a_linear_map_of_the_features():
    model = awake(started())
    x, _ = batch(3)
    expected = model.features(x) @ model.head.conv.weight.flatten(1).T + model.head.conv.bias
    torch.testing.assert_close(model(x), expected)


def test_a_second_start_sets_the_gains_back():
    model = started("none", "scaled")
    with torch.no_grad():
        model.body.block1.unit01.conv1.gain.fill_(3.0)
    init_weights(model, draw)
    assert (model.body.block1.unit01.conv1.gain == 1).all()


def test_a_batch_statistic_for_a_norm_without_one_is_refused():
    with pytest.raises(ValueError, match=r"stat_batch=8, but norm 'gn' .* it is for: bn"):
        create_model("mini", 10, "gn", stat_batch=8)
