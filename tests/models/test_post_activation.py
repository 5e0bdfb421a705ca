"""Post-activation blocks, where the stride stands, and the drawn head: torchvision's ResNet-50."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fairtrial.layers import NORMS
from fairtrial.models.blocks import Unit
from fairtrial.models.resnet import ResNetV2, create_model, init_weights
from fairtrial.training.flops import macs_by_layer
from tests.models.making import awake, batch, draw, macs, millions, started


@pytest.fixture(scope="module")
def v1():
    """ResNet-50 of torchvision, which has the stride on the 3x3 (v1.5)."""
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        return torchvision.models.resnet50(num_classes=10)


def test_post_activation_blocks_are_those_of_torchvisions_resnet50(v1):
    """Same shapes in the same order; torchvision's names differ, and its head is no convolution."""
    with torch.device("meta"):
        ours = create_model("r50x1", 10, "bn", False, block="post-activation")
    assert millions(ours) == millions(v1)

    def convolutions(network: torch.nn.Module) -> list:
        found = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d) and m.bias is None]
        return sorted((tuple(m.weight.shape), m.stride, m.padding) for m in found)

    assert convolutions(ours) == convolutions(v1)
    assert macs(ours, 224) == macs(v1, 224)


def test_a_post_activation_network_computes_what_torchvisions_does():
    """The same numbers from the same weights, in evaluation and in training, in float64."""
    torchvision = pytest.importorskip("torchvision")
    theirs = torchvision.models.resnet50(num_classes=10).double()
    ours = create_model("r50x1", 10, "bn", False, block="post-activation").double()
    with torch.no_grad():
        for name, value in theirs.state_dict().items():
            ours.state_dict()[_named_as_ours(name)].copy_(
                value[:, :, None, None] if name == "fc.weight" else value
            )
    x = torch.from_numpy(np.random.default_rng(3).normal(size=(2, 3, 64, 64)))
    for mode in (False, True):
        torch.testing.assert_close(ours.train(mode)(x), theirs.train(mode)(x), rtol=1e-9, atol=1e-9)


def _named_as_ours(name: str) -> str:
    """'body.block1.unit01.shortcut_norm.weight' of "layer1.0.downsample.1.weight"."""
    stage, _, rest = name.partition(".")
    if stage == "fc":
        return f"head.conv.{rest}"
    if not stage.startswith("layer"):
        return f"root.{'norm' if stage == 'bn1' else 'conv'}.{rest}"
    unit, _, part = rest.partition(".")
    part = part.replace("downsample.0", "downsample").replace("downsample.1", "shortcut_norm")
    return f"body.block{stage[5:]}.unit{int(unit) + 1:02d}.{part.replace('bn', 'norm')}"


def test_the_stride_moves_to_the_first_convolution_with_its_operations(quick_norms):
    ours, first = (shape_only_on("r50x1", where) for where in ("3x3", "1x1"))
    assert millions(ours) == millions(first)
    for late, early in zip(units(ours), units(first), strict=True):
        assert early.conv1.stride == late.conv2.stride
        assert early.conv2.stride == late.conv1.stride == (1, 1)
    assert macs(first, 224) == sum(macs_by_layer("r50x1", 224, 10, "1x1").values())
    assert macs(first, 224) < macs(ours, 224)


def shape_only_on(name: str, stride_on: str) -> ResNetV2:
    with torch.device("meta"):
        return create_model(name, 10, stride_on=stride_on)


def units(model: ResNetV2) -> list[Unit]:
    return [module for module in model.modules() if isinstance(module, Unit)]


@pytest.mark.parametrize("norm", [name for name, row in NORMS.items() if not row.activates])
@pytest.mark.parametrize("stride_on", ["3x3", "1x1"])
def test_a_post_activation_network_learns(norm, stride_on):
    """Its shapes, and a gradient in each parameter."""
    model = awake(started(norm, False, block="post-activation", stride_on=stride_on))
    x, labels = batch(4)
    F.cross_entropy(model(x), labels).backward()
    assert model.features(x).shape == (4, 256)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_convolutions_start_equal_before_and_after_activation():
    before, after = (started("bn", False, block=block) for block in ("pre-activation", "post-activation"))
    shared = {n for n, m in before.named_modules() if isinstance(m, torch.nn.Conv2d)}
    assert shared == {n for n, m in after.named_modules() if isinstance(m, torch.nn.Conv2d)}
    for name in shared:
        assert torch.equal(before.get_submodule(name).weight, after.get_submodule(name).weight)


def test_a_drawn_head_is_uniform_within_one_over_the_root_of_its_channels():
    model = create_model("mini-x3", 100, "gn")
    init_weights(model, draw, "drawn")
    weight, bias = model.head.conv.weight.detach().double(), model.head.conv.bias.detach()
    bound = 1 / math.sqrt(weight.shape[1])
    assert weight.abs().max() <= bound and bias.abs().max() <= bound and bias.unique().numel() > 90
    n = weight.numel()
    assert abs(weight.mean()) < 4 * bound / math.sqrt(3 * n)  # four standard errors
    assert weight.var() == pytest.approx(bound**2 / 3, rel=4 * math.sqrt(0.8 / n))
    init_weights(again := create_model("mini-x3", 100, "bn"), lambda name: draw(name, 1), "drawn")
    assert not torch.equal(again.head.conv.weight, model.head.conv.weight)


def test_what_a_post_activation_block_cannot_have_is_refused():
    with pytest.raises(ValueError, match="activates by itself"):
        create_model("mini", 10, "frn", block="post-activation")
    with pytest.raises(ValueError, match="unknown block 'v1'; known: pre-activation, post-activation"):
        create_model("mini", 10, block="v1")
    with pytest.raises(ValueError, match="unknown stride_on '2x2'"):
        create_model("mini", 10, stride_on="2x2")
    with pytest.raises(ValueError, match="unknown head"):
        init_weights(create_model("mini", 10), draw, "random")
