"""The networks: sizes and names as published, one start for all arms, exact micro-batches."""

from __future__ import annotations

import math
from zlib import crc32

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from fairtrial.layers import CONVS, NORMS, StdConv2d
from fairtrial.layers.group_norm import GroupNorm
from fairtrial.models.blocks import Unit
from fairtrial.models.resnet import MODELS, Built, ResNetV2, create_model, groups_of, init_weights
from fairtrial.training.flops import macs_by_layer

ARMS = [(norm, weight_std) for norm in NORMS for weight_std in CONVS]
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


def draw(name: str, seed: int = 0) -> np.random.Generator:
    return np.random.default_rng([seed, crc32(name.encode())])


def started(norm: str = "gn", weight_std: bool = True, name: str = "mini", **options) -> ResNetV2:
    model = create_model(name, 10, norm, weight_std, **options)
    init_weights(model, draw)
    return model


def awake(model: ResNetV2) -> ResNetV2:
    """With a head that is not zero, so that a gradient reaches the body."""
    weight = draw("awake").normal(0, 0.1, tuple(model.head.conv.weight.shape))
    with torch.no_grad():
        model.head.conv.weight.copy_(torch.from_numpy(weight))
    return model


def batch(images: int, side: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    generator = np.random.default_rng(7)
    x = generator.normal(size=(images, 3, side, side)).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(generator.integers(0, 10, images))


def shape_only(name: str, num_classes: int = 10, *arm) -> ResNetV2:
    with torch.device("meta"):
        return create_model(name, num_classes, *arm)


def millions(model: ResNetV2) -> float:
    return sum(parameter.numel() for parameter in model.parameters()) / 1e6


@pytest.mark.parametrize("name", MILLIONS)
@pytest.mark.parametrize(("column", "num_classes"), [(0, 1000), (1, 10)])
def test_parameter_counts_are_the_published_ones(name, column, num_classes):
    # Half of the last digit, and 1e-4 because R101x3 stands at 387.935 and was published as 387.93.
    assert millions(shape_only(name, num_classes)) == pytest.approx(MILLIONS[name][column], abs=0.005 + 1e-4)


def macs(model: ResNetV2, side: int) -> float:
    """Multiply-accumulates of one image: torch's counter counts each as 2."""
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, side, side, device="meta"))
    return counter.get_total_flops() / 2


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
    with pytest.raises(ValueError, match=r"unknown model 'r50'; known: mini, mini-x2, .*r152x4"):
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
