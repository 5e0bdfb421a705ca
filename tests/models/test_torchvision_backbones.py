"""torchvision's networks as ours: one battery for every row, published sizes and counts, published files."""

from __future__ import annotations

import hashlib
import io
import math
import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from urllib.error import URLError
from zlib import crc32

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models
from torchvision.models import get_model, get_model_weights, list_models
from torchvision.ops import StochasticDepth

from fairtrial.errors import Fault
from fairtrial.layers import NORMS
from fairtrial.models.timm_backbones import shaped
from fairtrial.models.torchvision_backbones import (
    Backbone,
    create_backbone,
    init_backbone,
    last_stage,
    layer_macs,
)
from fairtrial.study.backbone_names import BACKBONES, PREFIX, backbone
from fairtrial.training.augmentation import normalize
from fairtrial.weights.backbone_weights import LARGEST, load_published

CLASSES = 7
SMALL = f"{PREFIX}mobilenet_v3_small"
INCEPTION = f"{PREFIX}inception_v3"
GOOGLENET = f"{PREFIX}googlenet"
BATTERY = [
    f"{PREFIX}{name}"
    for name in (
        "resnet18",
        "resnext50_32x4d",
        "alexnet",
        "googlenet",
        "inception_v3",
        "squeezenet1_1",
        "mobilenet_v3_small",
        "shufflenet_v2_x0_5",
        "efficientnet_b0",
        "regnet_y_400mf",
        "densenet121",
        "convnext_tiny",
        "swin_t",
    )
]  # one of each family whose networks compute differently; the others are known by their shapes


NIGHTLY = {  # all of their layers stand in others too
    f"{PREFIX}{name}"
    for name in (
        "resnext50_32x4d",
        "alexnet",
        "inception_v3",
        "shufflenet_v2_x0_5",
        "efficientnet_b0",
        "regnet_y_400mf",
        "densenet121",
    )
}
MORE = {f"{PREFIX}{name}" for name in ("alexnet", "inception_v3", "vgg19_bn", "vit_b_32")}
SHAPED = [
    pytest.param(name, marks=() if name in {*BATTERY} - NIGHTLY | MORE else pytest.mark.soak)
    for name in BACKBONES
]  # one of each way in which they differ here; all of them take minutes together


def theirs(name: str, num_classes: int = 1000, **options) -> nn.Module:
    """The network as torchvision makes it, inception with its second head."""
    more = {"init_weights": False} if name in (INCEPTION, GOOGLENET) else {}
    bare, known = name.removeprefix(PREFIX), {"weights": None, "num_classes": num_classes}
    return shaped(lambda: get_model(bare, **known, **more, **options))


def default(name: str):
    return get_model_weights(name.removeprefix(PREFIX)).DEFAULT


def draw(name: str, seed: int = 0) -> np.random.Generator:
    return np.random.default_rng([seed, crc32(name.encode())])


def started(name: str, num_classes: int = CLASSES) -> Backbone:
    model = create_backbone(name, num_classes)
    init_backbone(model, draw)
    return model


def awake(model: Backbone) -> Backbone:
    """With a head that is not zero, so that a gradient reaches the body."""
    with torch.no_grad():
        weight = draw("awake").normal(0, 0.1, tuple(model.head.weight.shape))
        model.head.weight.copy_(torch.from_numpy(weight))
    return model


def images(count: int, side: int, seed: int = 7) -> torch.Tensor:
    x = np.random.default_rng(seed).uniform(-1, 1, (count, 3, side, side))
    return torch.from_numpy(x.astype(np.float32))


def usual(model: Backbone, count: int = 4) -> torch.Tensor:
    """Images of 32 pixels, or of the smallest side."""
    return images(count, max(32, model.spec.smallest_side))


@cache
def shape_only(name: str, num_classes: int = 1000) -> Backbone:
    """The network without numbers; shared, in training mode."""
    with torch.device("meta"):
        return create_backbone(name, num_classes)


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


# Shapes alone.


def blank(count: int, height: int, width: int | None = None) -> torch.Tensor:
    return torch.empty(count, 3, height, width or height, device="meta")


def spatial(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Height and width of maps; Swin's have their channels last."""
    return shape[2:] if shape[2] == shape[3] else shape[1:3]


@pytest.mark.parametrize("name", SHAPED)
def test_a_row_says_what_the_shapes_show(name, quick_norms):
    """Sides that pass and do not, one image alone, published numbers of parameters and operations."""
    model = shape_only(name)
    side, alone, fixed = model.spec.smallest_side, model.spec.side_alone, model.spec.fixed
    assert model(blank(2, side)).shape == (2, 1000)
    words = rf"{side}x{side} alone\. Choose that" if fixed else rf"{side}x{side} or more\. Choose a larger"
    with pytest.raises(ValueError, match=rf"images of {side - 1}x400 pixels; {name} takes {words}"):
        model(torch.empty(2, 3, side - 1, 400))
    with pytest.raises((RuntimeError, AssertionError, ValueError)):
        model.body(blank(2, side + 32 if fixed else side - 1))
    assert model(blank(1, alone)).shape == (1, 1000)
    if alone > side:
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            model.body(blank(1, alone - 1))
        words = rf"\(1 image of {alone - 1}x.* 2 or more images, or {alone}x{alone} pixels"
        with pytest.raises(ValueError, match=rf"one value per channel {words}"):
            model(blank(1, alone - 1))
        assert model.eval()(blank(1, alone - 1)).shape == (1, 1000)
        model.train()

    counted = sum(value.numel() for value in model.parameters()) - spare(name)
    assert counted == default(name).meta["num_params"]
    meta, crop = default(name).meta, default(name).transforms().crop_size[0]
    macs = layer_macs(name, crop, 1000)
    assert list(macs)[-1] == "head"
    if name.removeprefix(PREFIX).startswith("squeezenet"):
        # 512 x 1000 weights, for each of 13 x 13 places
        assert sum(macs.values()) + 168 * 512_000 == pytest.approx(meta["_ops"] * 1e9, abs=0.5e6 + 1e3)
        return
    # Half of the last digit; torchvision's count has the second heads off, as in evaluation.
    assert sum(macs.values()) / 1e9 == pytest.approx(meta["_ops"], abs=0.0005 + 1e-6)


def spare(name: str) -> int:
    """Parameters that the network has more than torchvision counts: no second head, a bias behind MaxViT."""
    if name == f"{PREFIX}maxvit_t":
        return 1000
    with torch.device("meta"):
        return -sum(v.numel() for v in theirs(name).AuxLogits.parameters()) if name == INCEPTION else 0


@pytest.mark.parametrize("name", SHAPED)
def test_the_last_stage_takes_maps_of_a_sixteenth_and_leaves_half_of_it(name, quick_norms):
    model = shape_only(name).eval()
    seen: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    hooks = [
        each.register_forward_hook(lambda _, x, out: seen.append((tuple(x[0].shape), tuple(out.shape))))
        for each in last_stage(model)
    ]
    side, before, after = {INCEPTION: (299, 17, 8), f"{PREFIX}alexnet": (224, 13, 6)}.get(name, (224, 14, 7))
    model(blank(1, max(side, model.spec.smallest_side)))
    for hook in hooks:
        hook.remove()
    model.train()
    bare = name.removeprefix(PREFIX)
    if bare.startswith("vit"):  # one map of tokens all along
        blocks = len(model.body.encoder.layers)
        assert len(last_stage(model)) == blocks // 4 + 3  # the last norm, the old head, ours
        return
    if bare.startswith("squeezenet"):  # it ends at a sixteenth
        before = after = 13
    assert spatial(seen[0][0]) == (before, before)
    maps = [out for _, out in seen if len(out) == 4 and spatial(out)[0] not in (1, before)]
    assert (maps or before == after) and all(spatial(out) == (after, after) for out in maps)


def test_the_last_stage_of_resnet50_has_the_parameters_counted_by_hand():
    def unit(cin, project):
        norms = 2 * (512 + 512 + 2048) + (2 * 2048 if project else 0)
        return cin * 512 + 9 * 512 * 512 + 512 * 2048 + (cin * 2048 if project else 0) + norms

    stage = last_stage(shape_only(f"{PREFIX}resnet50", 10))
    counted = sum(value.numel() for each in stage for value in each.parameters())
    assert counted == unit(1024, True) + 2 * unit(2048, False) + 2048 * 10 + 10


@pytest.mark.parametrize(
    "name", [SMALL, pytest.param(f"{PREFIX}swin_t", marks=pytest.mark.soak), f"{PREFIX}vit_b_32"]
)
def test_multiply_accumulates_are_those_of_torchs_counter(name):
    """Forward and, of a network without groups, backward: as the price of a training step assumes."""
    model, side = shape_only(name, 10), max(97, BACKBONES[name].smallest_side)
    with FlopCounterMode(display=False) as counter:
        out = model(blank(3, side))
    macs = layer_macs(name, side, 10)
    assert 2 * 3 * sum(macs.values()) == counter.get_total_flops()
    if name == SMALL:  # torch counts the backward pass of grouped filters otherwise
        return
    with FlopCounterMode(display=False) as counter:
        out.sum().backward()
    first, *others = macs.values()  # nobody asks for the gradient of the images
    assert 2 * 3 * (first + 2 * sum(others)) == counter.get_total_flops()


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


# Published files.


def values(name: str) -> dict[str, torch.Tensor]:
    """Random values under the names of torchvision, as wide as the network needs them to be."""
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in theirs(name).state_dict().items()}
    state = {}
    for key, shape in shapes.items():
        rng = draw(key, seed=2)
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(5)
            continue
        if len(shape) > 1:
            array = rng.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / math.prod(shape[1:])))
        else:
            array = rng.uniform(0.5, 1.5, shape).astype(np.float32)
        state[key] = torch.from_numpy(array)
    return state


def publish(monkeypatch, folder: Path, name: str, content: bytes) -> Path:
    """A file as torchvision publishes it: its row, and its name, end in the digits of its own digest."""
    file = f"{name.removeprefix(PREFIX)}-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    monkeypatch.setitem(BACKBONES, name, replace(BACKBONES[name], file=file))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file
    path.write_bytes(content)
    return path


def saved(state: object, **options) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def state():
    return values(SMALL)


@pytest.fixture(scope="module")
def good(state) -> bytes:
    return saved(state)


def older(name: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The layouts of 2017 of a DenseNet (dotted names, no counters), and of 2021 of a ViT, as published."""
    renamed = {}
    for key, value in state.items():
        key = key.replace(".mlp.0.", ".mlp.linear_1.").replace(".mlp.3.", ".mlp.linear_2.")
        for word in ("norm1", "norm2", "conv1", "conv2"):
            if "denselayer" in key:
                key = key.replace(f".{word}.", f".{word[:-1]}.{word[-1]}.")
        if not key.endswith("num_batches_tracked"):
            renamed[key] = value
    assert set(renamed) - set(state)
    return renamed


@pytest.mark.parametrize(
    "model",
    [
        "mobilenet_v3_small",
        "googlenet",
        *(pytest.param(name, marks=pytest.mark.soak) for name in ("inception_v3", "densenet121", "vit_b_32")),
    ],
)
def test_a_loaded_network_computes_what_torchvisions_own_computes(model, tmp_path, monkeypatch):
    """torchvision's builder reads the same file by its own way, second head and turned colours included."""
    name = f"{PREFIX}{model}"
    state = values(name)
    old = model == "densenet121"
    content = saved(
        older(name, state) if old or "vit" in model else state, _use_new_zipfile_serialization=not old
    )
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    path = publish(monkeypatch, folder, name, content)
    (folder / default(name).url.rpartition("/")[2]).write_bytes(content)
    official = get_model(model, weights=default(name)).eval()

    ours = awake(started(name, 1000))
    source = load_published(ours, download=False)
    assert source.file == path.name
    assert not ours.head.weight.any() and not ours.head.bias.any()
    with torch.no_grad():
        weight, bias = (state[key] for key in ours.published)
        ours.head.weight.copy_(weight)
        ours.head.bias.copy_(bias)
        side = ours.spec.smallest_side if ours.spec.fixed else 80
        x = torch.randint(0, 256, (2, 3, side, side), generator=torch.Generator().manual_seed(0))
        colours = default(name).transforms()
        mean, std = (torch.tensor(each).view(3, 1, 1) for each in (colours.mean, colours.std))
        expected = official((x / 255 - mean) / std)
        found = ours.eval()(normalize(x.to(torch.uint8)))
    # Relative to the largest logit: float32 through up to 121 layers that random values do not keep small.
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
    assert expected.std() > 0


def test_the_record_says_what_was_read(tmp_path, monkeypatch, good):
    path = publish(monkeypatch, tmp_path, SMALL, good)
    source = load_published(started(SMALL), download=False, folder=tmp_path)
    assert (source.file, source.size, source.sha256) == (
        path.name,
        len(good),
        hashlib.sha256(good).hexdigest(),
    )
    assert (source.model, source.classes, source.upstream) == (SMALL, 1000, "ilsvrc2012")
    assert "IMAGENET1K_V1" in source.notes[0]


@pytest.fixture(scope="module")
def small() -> Backbone:
    """A started network for files that are refused, after which it is as it was."""
    return started(SMALL)


def refused(model: Backbone, folder: Path, **options) -> Fault:
    """The fault of a file that is not taken, after which the network is as it was."""
    model.spec = BACKBONES[model.name]  # as the test has published it
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(Fault) as error:
        load_published(model, folder=folder, **({"download": False} | options))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    return error.value


def never(request):
    raise AssertionError(f"the network was asked for {request.full_url}")


def test_a_missing_file_is_named_with_its_place_and_the_way_to_get_it(tmp_path, small):
    fault = refused(small, tmp_path, opener=never)
    file = "mobilenet_v3_small-047dcff4.pth"
    assert fault.code == 3
    assert f"of {SMALL} are not on this machine: {file}" in fault.block()
    assert f"where: {tmp_path / file}" in fault.block()
    assert f"add --download to the command, or put https://download.pytorch.org/models/{file} there" in (
        fault.block()
    )


def test_without_a_folder_the_place_is_torch_hubs_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(Fault) as error:
        load_published(create_backbone(SMALL, 2), download=False)
    assert f"where: {tmp_path / 'hub' / 'checkpoints' / 'mobilenet_v3_small'}-" in error.value.block()


def test_a_file_of_another_digest_is_refused(tmp_path, monkeypatch, good, small):
    path = publish(monkeypatch, tmp_path, SMALL, good)
    damaged = bytearray(good)
    damaged[len(good) // 2] ^= 1
    path.write_bytes(damaged)
    fault = refused(small, tmp_path)
    digits = hashlib.sha256(damaged).hexdigest()[:8]
    assert fault.code == 3
    assert f"sha256 begins {digits}; that of the published file begins {path.stem[-8:]}" in fault.block()


class Canary:
    """A pickle of it opens, and so creates, a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_w18_a_file_that_would_run_code_is_refused_and_runs_none(zipped, tmp_path, monkeypatch, state, small):
    canary = tmp_path / "canary"
    content = saved({**state, "extra": Canary(canary)}, _use_new_zipfile_serialization=zipped)
    publish(monkeypatch, tmp_path, SMALL, content)
    fault = refused(small, tmp_path)
    assert fault.code == 3 and "pickled objects, which are refused" in fault.block()
    assert not canary.exists()
    torch.load(io.BytesIO(content), weights_only=False)["extra"].close()
    assert canary.exists()  # so that the test can fail


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>404</html>", b"PK\x03\x04" + bytes(200), saved([1, 2]), saved({1: torch.ones(2)})],
    ids=["empty", "a page", "half a zip", "a list", "a number as name"],
)
def test_what_is_no_table_of_tensors_is_refused(content, tmp_path, monkeypatch, small):
    publish(monkeypatch, tmp_path, SMALL, content)
    fault = refused(small, tmp_path)
    assert fault.code == 3 and "not a table of plain tensors" in fault.block()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("features.0.0.weight", torch.ones(16, 3, 5, 5), r"shape (16, 3, 5, 5), expected (16, 3, 3, 3)"),
        ("features.0.1.bias", torch.ones(1), "shape (1,), expected (16,)"),
        ("features.0.1.weight", None, "1 arrays of torchvision:mobilenet_v3_small are missing"),
        ("classifier.3.weight", torch.ones(10, 1024), "shape (10, 1024), expected (1000, 1024)"),
        ("another", torch.ones(1), "1 arrays that torchvision:mobilenet_v3_small does not have: another"),
        ("features.0.1.running_var", torch.full((16,), torch.nan), "16 of 16 values are NaN or infinite"),
        ("features.0.1.weight", torch.ones(16).to_sparse(), "not a table of plain tensors"),
        ("features.0.1.weight", torch.ones(16, device="meta"), "not a table of plain tensors"),
        ("features.0.1.weight", torch.ones(16, dtype=torch.complex64), "not a table of plain tensors"),
    ],
)
@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
def test_a_file_of_another_network_is_refused(key, value, words, tmp_path, monkeypatch, state, small):
    wrong = {**state, key: value}
    if value is None:
        del wrong[key]
    publish(monkeypatch, tmp_path, SMALL, saved(wrong))
    fault = refused(small, tmp_path)
    assert fault.code == 3 and words in fault.block()


class Answer(io.BytesIO):
    """A response of a server."""

    status = 200

    def __init__(self, content):
        super().__init__(content)
        self.headers = {"Content-Length": str(len(content))}


def test_download_fetches_once_and_only_what_is_missing(tmp_path, monkeypatch, good):
    path = publish(monkeypatch, tmp_path / "cache", SMALL, good)
    path.unlink()
    path.parent.rmdir()
    asked = []

    def opener(request):
        asked.append(request.full_url)
        return Answer(good)

    first, again = started(SMALL), started(SMALL)
    load_published(first, download=True, folder=path.parent, opener=opener)
    load_published(again, download=True, folder=path.parent, opener=never)
    assert asked == [f"https://download.pytorch.org/models/{path.name}"]
    assert sorted(each.name for each in path.parent.iterdir()) == [f".{path.name}.lock", path.name]
    assert path.read_bytes() == good
    assert torch.equal(first.eval().features(images(2, 32)), again.eval().features(images(2, 32)))


def test_a_download_that_breaks_off_or_is_another_file_leaves_nothing(tmp_path, monkeypatch, good, small):
    publish(monkeypatch, tmp_path, SMALL, good).unlink()
    fault = refused(small, tmp_path, download=True, opener=lambda _: Answer(good[:-1]))
    assert fault.code == 6 and f"{len(good) - 1:,} bytes came whose sha256 begins" in fault.block()
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]


@pytest.mark.parametrize("error", [URLError("no route to host"), TimeoutError("timed out")], ids=str)
def test_a_machine_without_a_network_says_what_was_wanted_and_where(error, tmp_path, small):
    def opener(request):
        raise error

    fault = refused(small, tmp_path, download=True, opener=opener)
    assert fault.code == 6
    assert "could not fetch mobilenet_v3_small-047dcff4.pth: " in fault.block()
    assert f"for {tmp_path / 'mobilenet_v3_small-047dcff4.pth'}" in fault.block()
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]
