"""torchvision's networks by their shapes alone: what a row says, published sizes and counts."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from fairtrial.models.torchvision_backbones import last_stage, layer_macs
from fairtrial.study.backbone_names import BACKBONES, PREFIX
from tests.models.torchvision_networks import BATTERY, INCEPTION, NIGHTLY, SMALL, default, shape_only, theirs

MORE = {f"{PREFIX}{name}" for name in ("alexnet", "inception_v3", "vgg19_bn", "vit_b_32")}
SHAPED = [
    pytest.param(name, marks=() if name in {*BATTERY} - NIGHTLY | MORE else pytest.mark.soak)
    for name in BACKBONES
]  # one of each way in which they differ here; all of them take minutes together


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
