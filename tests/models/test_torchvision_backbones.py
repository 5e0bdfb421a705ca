"""torchvision's networks as ours: one battery for every row."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision import models
from torchvision.models import list_models
from torchvision.ops import StochasticDepth

from fairtrial.layers import NORMS
from fairtrial.models.torchvision_backbones import Backbone, create_backbone, init_backbone, last_stage
from fairtrial.study.backbone_names import BACKBONES, PREFIX, backbone
from fairtrial.training.augmentation import normalize
from fairtrial.weights.backbone_weights import LARGEST
from tests.models.making import draw
from tests.models.torchvision_networks import (
    BATTERY,
    CLASSES,
    NIGHTLY,
    SMALL,
    awake,
    default,
    images,
    shape_only,
    started,
    theirs,
)


def usual(model: Backbone, count: int = 4) -> torch.Tensor:
    """Images of 32 pixels, or of the smallest side."""
    return images(count, max(32, model.spec.smallest_side))


def filters(model: nn.Module) -> list[str]:
    """The names of all convolutions and linear maps."""
    return [name for name, each in model.named_modules() if isinstance(each, (nn.Conv2d, nn.Linear))]


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.soak if name in NIGHTLY else ()) for name in BATTERY],
)
def kept(request):
    """One started network of each row, and the names that its start asked for."""
    asked: list[str] = []
    model = create_backbone(request.param, CLASSES)
    init_backbone(model, lambda name: asked.append(name) or draw(name))
    return model, asked


@pytest.fixture
def network(kept):
    """That network as it was started, whatever the test before did to its head and its statistics."""
    model, _ = kept
    yield model.train().requires_grad_()
    model.zero_grad()
    nn.init.zeros_(model.head.weight)
    for each in model.modules():
        if isinstance(each, nn.BatchNorm2d):
            each.reset_running_stats()


# The table.


def test_every_classification_network_of_torchvision_has_a_row_with_its_default_weights():
    assert {f"{PREFIX}{name}" for name in list_models(module=models)} == set(BACKBONES)
    for name, row in BACKBONES.items():
        published = default(name)
        colours, meta = published.transforms(), published.meta
        assert backbone(name) is row and backbone(name.removeprefix(PREFIX)) is None
        assert row.norm in NORMS and row.weight_std is False
        assert (row.url, row.weights) == (published.url, published.name)
        assert row.file.endswith(f"-{row.digits}.pth") and len(row.digits) in (8, 10)
        assert meta["_file_size"] * 2**20 < LARGEST
        assert (row.mean, row.std) == (tuple(colours.mean), tuple(colours.std)), name


def test_images_become_what_the_published_weights_expect():
    x = torch.randint(0, 256, (1, 3, 5, 5), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for name in (SMALL, f"{PREFIX}swin_t"):
        colours, model = default(name).transforms(), create_backbone(name, 2)
        mean, std = (torch.tensor(each).view(3, 1, 1) for each in (colours.mean, colours.std))
        found = torch.addcmul(model.shift, normalize(x), model.scale)
        torch.testing.assert_close(found, (x / 255 - mean) / std)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown backbone 'resnet50'; known: torchvision:resnet18, "):
        create_backbone("resnet50", 10)


def test_neither_torchvision_nor_the_compiler_is_loaded_before_a_network_is_built():
    """And the first one may be built without numbers: torch 2.6 computes with some during that import."""
    program = f"""
import sys
from fairtrial.models.torchvision_backbones import layer_macs
assert not {{"torchvision", "torch._dynamo"}} & set(sys.modules)
assert layer_macs({SMALL!r}, 32, 10)
assert "torchvision" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120, env=dict(os.environ))


# The battery.


def test_the_start_is_he_normal_with_norms_of_one_and_a_silent_head(network):
    for name, module in network.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if isinstance(module, (nn.Conv2d, nn.Linear)) and module is not network.head:
            weight = own.pop("weight")
            some, std = weight.flatten()[:1_000_000], math.sqrt(2 / weight[0].numel())
            if len(some) > 50_000:  # the relative error of a standard deviation is 1 / sqrt(2 n): 0.3 %
                assert some.std().item() == pytest.approx(std, rel=0.015), name
                assert abs(some.mean().item()) < 4.5 * std / math.sqrt(len(some)), name
        for each, value in own.items():
            scale = 1e-6 if each == "layer_scale" else float(each == "weight" and module is not network.head)
            if each == "relative_position_bias_table":  # drawn, as its maker draws it
                assert value.std().item() == pytest.approx(0.02, rel=0.2)
                continue
            assert (value == scale).all(), f"{name}.{each}"


def test_each_filter_asks_for_its_own_name_once(kept):
    model, asked = kept
    weights = [f"{name}.weight" for name in filters(model) if name != "head"]
    assert [name for name in asked if not name.endswith("bias_table")] == weights
    assert len(set(asked)) == len(asked)


def test_logits_are_zero_at_the_start_and_a_linear_map_of_the_features_later(network):
    x = usual(network)
    features = network.features(x)
    assert features.shape == (4, network.head.in_features) and features.isfinite().all() and features.any()
    assert network(x).shape == (4, CLASSES) and not network(x).any()
    torch.testing.assert_close(awake(network)(x), features @ network.head.weight.T)


def test_every_parameter_gets_a_finite_gradient(network):
    F.cross_entropy(awake(network)(usual(network)), torch.arange(4)).backward()
    for name, value in network.named_parameters():
        assert 0 < value.grad.norm() < math.inf, name


def test_a_state_makes_a_round_trip(network):
    x = usual(awake(network))
    network(x)  # moves the running statistics of bn
    other = shape_only(network.name, CLASSES)
    other.load_state_dict(network.state_dict(), assign=True)
    other.scale, other.shift = network.scale, network.shift  # of no network in particular
    assert torch.equal(other.eval()(x), network.eval()(x))


def test_parameters_are_named_as_in_torchvision_with_the_head_apart(network):
    with torch.device("meta"):
        names = set(theirs(network.name).state_dict())
    apart = ("AuxLogits", "aux1", "aux2", *network.published)
    inside = {f"body.{name}" for name in names if not name.startswith(apart)}
    assert set(network.state_dict()) == inside | {"head.weight", "head.bias"}
    assert len(names) > len(inside) > 0


def test_one_pixel_less_than_the_table_says_is_too_few_for_torch(network):
    side = network.spec.smallest_side
    with pytest.raises(RuntimeError, match=r"too small|can't be greater|must be greater"):
        network.body(images(2, side - 1))


def test_an_image_sees_its_neighbours_in_training_exactly_where_the_norm_says(network):
    one, other = usual(network), usual(network)
    other[1:] = images(3, one.shape[2], seed=8)
    same = torch.equal(network.features(one)[0], network.features(other)[0])
    assert same is not NORMS[network.spec.norm].mixes_batch
    network.eval()
    assert torch.equal(network.features(one)[0], network.features(other)[0])


def test_nothing_is_random_in_training(network):
    before, x = torch.get_rng_state(), usual(network)
    assert torch.equal(network.features(x), network.features(x))
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(each.p for each in network.modules() if isinstance(each, (nn.Dropout, StochasticDepth)))


def test_the_last_stage_is_all_that_is_trained_from_its_first_module_on(network):
    stage = {id(value) for each in last_stage(network) for value in each.parameters()}
    for value in network.parameters():
        value.requires_grad_(id(value) in stage)
    ran: list[str] = []
    hooks = [
        each.register_forward_hook(lambda _, x, out, name=name: ran.append((name, out.requires_grad)))
        for name, each in network.named_modules()
        if isinstance(each, (nn.Conv2d, nn.Linear))
    ]
    network(usual(network))
    for hook in hooks:
        hook.remove()
    trained = [name for name, has_gradient in ran if has_gradient]
    assert trained == [name for name, _ in ran][-len(trained) :]
    assert sum(network.get_parameter(f"{name}.weight").requires_grad for name in trained) == len(trained)
    assert "head" in trained and len(trained) < len(ran)


# Chance.


@pytest.mark.parametrize(
    "name", [SMALL, f"{PREFIX}resnet18", pytest.param(f"{PREFIX}convnext_tiny", marks=pytest.mark.soak)]
)
def test_the_same_draw_gives_the_same_start_and_another_draw_another(name):
    model = started(name)
    first = {key: value.clone() for key, value in model.state_dict().items()}
    model(usual(model))
    with torch.no_grad():
        for value in model.parameters():
            value.add_(1)
    init_backbone(model, draw)
    assert all(torch.equal(value, first[key]) for key, value in model.state_dict().items())
    init_backbone(model, lambda key: draw(key, seed=1))
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, first[key])}
    assert changed == {f"{key}.weight" for key in filters(model) if key != "head"}


def test_making_and_starting_a_network_leaves_the_global_generators_alone():
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    started(SMALL)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002
