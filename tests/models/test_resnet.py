"""The networks: sizes and names as published, strides, units, groups."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fairtrial.layers import NORMS, StdConv2d
from fairtrial.layers.group_norm import GroupNorm
from fairtrial.models.blocks import Unit
from fairtrial.models.resnet import MODELS, create_model, groups_of
from tests.models.making import awake, batch, draw, macs, millions, shape_only, started

MILLIONS = {  # shared reference table: timm at 1000 classes, the block layout of big_transfer at 10
    "r50x1": (25.55, 23.52),
    "r50x3": (217.32, 211.24),
    "r101x1": (44.54, 42.51),
    "r101x3": (387.93, 381.85),
    "r152x2": (236.34, 232.28),
    "r152x4": (936.53, 928.42),
}
GMACS = {  # the same table: timm at 224 px and 448 (R152x4: 480), 1000 classes; the layout at 128 px, 10
    "r50x1": (4.23, 16.62, 1.33),
    "r50x3": (37.06, 145.7, 11.78),
    "r101x1": (8.04, 31.65, 2.55),
    "r101x3": (71.23, 280.33, 22.69),
    "r152x2": (46.95, 184.99, 14.96),
    "r152x4": (186.9, 844.84, 59.68),
}
COUNTED = [  # passes over the larger ones take a second each
    pytest.param(name, marks=() if name in ("r50x1", "r50x3") else pytest.mark.soak) for name in GMACS
]


@pytest.mark.parametrize("name", MILLIONS)
@pytest.mark.parametrize(("column", "num_classes"), [(0, 1000), (1, 10)])
def test_parameter_counts_are_the_published_ones(name, column, num_classes):
    # Half of the last digit, and 1e-4 because R101x3 stands at 387.935 and was published as 387.93.
    assert millions(shape_only(name, num_classes)) == pytest.approx(MILLIONS[name][column], abs=0.005 + 1e-4)


@pytest.mark.parametrize("name", COUNTED)
def test_multiply_accumulates_are_those_of_the_published_layout(name, quick_norms):
    assert macs(shape_only(name), 128) / 1e9 == pytest.approx(GMACS[name][2], abs=0.005 + 1e-4)


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize(("column", "side"), [(0, 224), (1, 448)])
def test_multiply_accumulates_are_timms_once_its_other_operations_are_added(name, column, side, quick_norms):
    """timm's counter adds 4 operations a standardized weight, 5 a normalized value: 0.7 to 3.3 % in all."""
    model = shape_only(name, 1000)
    side = 480 if (column, name) == (1, "r152x4") else side
    values = []
    for layer in model.modules():
        if isinstance(layer, torch.nn.GroupNorm):
            layer.register_forward_hook(lambda _, inputs, out: values.append(out.numel()))
    plain = macs(model, side)
    weights = sum(layer.weight.numel() for layer in model.modules() if isinstance(layer, StdConv2d))
    published = GMACS[name][column] * 1e9
    assert plain == pytest.approx(published, rel=0.034)
    assert plain + 4 * weights + 5 * sum(values) == pytest.approx(published, rel=1e-3)


def test_mini_has_the_parameters_counted_by_hand():
    def unit(cin, cmid, project):
        cout = 4 * cmid
        norms = 2 * (cin + cmid + cmid)
        return cin * cmid + 9 * cmid * cmid + cmid * cout + (cin * cout if project else 0) + norms

    body = sum(
        unit(cin, cmid, True) + unit(4 * cmid, cmid, False) for cin, cmid in ((16, 16), (64, 32), (128, 64))
    )
    assert millions(shape_only("mini")) * 1e6 == 27 * 16 + body + 2 * 256 + 256 * 10 + 10


@pytest.mark.parametrize("norm", NORMS)
def test_only_the_norms_own_parameters_differ_between_arms(norm):
    convolutions = {name for name, _ in shape_only("mini", 10, "none", False).named_parameters()}
    names = {name for name, _ in shape_only("mini", 10, norm, True).named_parameters()}
    assert convolutions <= names
    assert all(".norm" in name for name in names - convolutions)
    gains = {name for name, _ in shape_only("mini", 10, norm, "scaled").named_parameters()} - names
    assert gains == {name.replace(".weight", ".gain") for name in convolutions if not name.startswith("head")}


def test_parameters_are_named_as_in_big_transfer():
    shapes = {name: tuple(value.shape) for name, value in shape_only("r50x1", 1000).named_parameters()}
    assert next(iter(shapes)) == "root.conv.weight"
    assert list(shapes)[-2:] == ["head.conv.weight", "head.conv.bias"]
    expected = {
        "root.conv.weight": (64, 3, 7, 7),
        "body.block1.unit01.norm1.weight": (64,),
        "body.block1.unit01.conv1.weight": (64, 64, 1, 1),
        "body.block1.unit01.downsample.weight": (256, 64, 1, 1),
        "body.block2.unit01.norm1.bias": (256,),
        "body.block2.unit01.conv2.weight": (128, 128, 3, 3),
        "body.block3.unit06.norm3.weight": (256,),
        "body.block4.unit03.conv3.weight": (2048, 512, 1, 1),
        "head.norm.weight": (2048,),
        "head.conv.weight": (1000, 2048, 1, 1),
        "head.conv.bias": (1000,),
    }
    assert {name: shapes.get(name) for name in expected} == expected
    assert sum(name.endswith("downsample.weight") for name in shapes) == 4


@pytest.mark.parametrize(("name", "side", "pixels"), [("mini", 32, 4), ("mini-x2", 32, 4), ("r50x1", 224, 7)])
def test_the_strides_leave_the_pixels_that_the_layout_says(name, side, pixels, quick_norms):
    model = shape_only(name)
    x = torch.empty(2, 3, side, side, device="meta")
    assert model.body(model.root(x)).shape[2:] == (pixels, pixels)
    assert model(x).shape == (2, 10)


def test_the_stride_stands_on_the_3x3_convolution_and_on_the_projection():
    unit = shape_only("r50x1").body.block2.unit01
    strides = [conv.stride[0] for conv in (unit.conv1, unit.conv2, unit.conv3, unit.downsample)]
    assert strides == [1, 2, 1, 2]


def test_the_pooling_of_bit_sees_zeros_beyond_the_border():
    root = create_model("r50x1", 10).root
    x = torch.full((1, 64, 4, 4), -1.0)
    assert root.pool(root.pad(x))[0, 0].tolist() == [[0.0, 0.0], [0.0, -1.0]]


@pytest.mark.parametrize("weight_std", [False, True])
def test_a_unit_is_the_formula_of_the_paper(weight_std):
    """out = downsample(a) + conv3(relu n3(conv2(relu n2(conv1 a)))) with a = relu n1(x); in float64."""

    def conv(layer, x, stride=1, padding=0):
        weight = layer.weight
        if weight_std:
            flat = weight.flatten(1)
            flat = (flat - flat.mean(1, keepdim=True)) / (
                flat.var(1, correction=0, keepdim=True) + 1e-10
            ).sqrt()
            weight = flat.reshape(weight.shape)
        return F.conv2d(x, weight, stride=stride, padding=padding)

    def norm_relu(layer, x):
        grouped = x.reshape(x.shape[0], layer.num_groups, -1)
        mean, var = grouped.mean(2, keepdim=True), grouped.var(2, correction=0, keepdim=True)
        return ((grouped - mean) / (var + 1e-5).sqrt()).reshape(x.shape).clamp(min=0)

    unit = started("gn", weight_std).body.block2.unit01.double()
    x = batch(2)[0].double().repeat(1, 22, 1, 1)[:, :64]
    a = norm_relu(unit.norm1, x)
    expected = conv(unit.conv2, norm_relu(unit.norm2, conv(unit.conv1, a)), stride=2, padding=1)
    expected = conv(unit.downsample, a, stride=2) + conv(unit.conv3, norm_relu(unit.norm3, expected))
    torch.testing.assert_close(unit(x), expected)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("project", [False, True])
def test_a_unit_leaves_its_input_as_it_was(norm, project):
    block = started(norm).body.block1
    unit = block.unit01 if project else block.unit02
    assert isinstance(unit, Unit) and (unit.downsample is not None) is project
    x = torch.from_numpy(draw("x").normal(size=(2, 16 if project else 64, 8, 8)).astype(np.float32))
    before = x.clone()
    unit(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", MODELS)
def test_every_group_of_every_network_has_its_size(name):
    spec = MODELS[name]
    channels = [spec.width * 2**block * factor for block in range(len(spec.units)) for factor in (1, 4)]
    for each in channels:
        groups = groups_of(spec, each)
        assert each % groups == 0
        assert each // groups >= 8 if spec.small_images else groups == 32


def test_the_groups_of_mini_are_these():
    assert [groups_of(MODELS["mini"], channels) for channels in (16, 32, 64, 128, 256)] == [2, 4, 8, 16, 32]


def test_groups_that_are_asked_for_are_those_of_each_layer_or_one_a_channel():
    """One group is layer normalization, as many as channels instance normalization (Wu & He, Table 3)."""
    images = batch(2, 32)[0]

    def features(norm: str, **options) -> torch.Tensor:
        return awake(started(norm, **options))(images)

    counts = {layer.num_groups for layer in started(groups=4).modules() if isinstance(layer, GroupNorm)}
    assert counts == {4}
    assert torch.equal(features("gn", groups=1), features("ln"))
    assert torch.equal(features("gn", groups=256), features("in"))
    assert not torch.allclose(features("gn", groups=4), features("gn"))
    with pytest.raises(ValueError, match="groups=4, but norm 'bn' has no number of groups"):
        create_model("mini", 10, "bn", groups=4)
