"""Every row of NORMS through the same battery; each against float64 NumPy; the traps of batch statistics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from fairtrial.layers import NORMS
from fairtrial.layers.norm_battery import CHECKS

ROWS = list(NORMS)
BATCH, CHANNELS, SIDE, GROUPS = 6, 16, 5, 4


def images(batch: int = BATCH, channels: int = CHANNELS, side: int = SIDE, seed: int = 0) -> torch.Tensor:
    draws = np.random.default_rng(seed).normal(0.5, 2.0, (batch, channels, side, side))
    return torch.from_numpy(draws.astype(np.float32))


def build(row: str, **options) -> nn.Module:
    return NORMS[row].build(CHANNELS, groups=GROUPS, **options)


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("check", CHECKS)
def test_every_norm_passes_the_battery(row, check):
    assert CHECKS[check](NORMS[row]) == ""


def split(x: np.ndarray) -> np.ndarray:
    """(batch, channels, height, width) -> (batch, group, channel of the group, height, width)."""
    return x.reshape(BATCH, GROUPS, CHANNELS // GROUPS, SIDE, SIDE)


def standardized(*axes: int):
    """x -> x without its mean, over its standard deviation; both over these axes of split(x)."""

    def formula(x: np.ndarray) -> np.ndarray:
        mean, var = split(x).mean(axes, keepdims=True), split(x).var(axes, keepdims=True)
        return ((split(x) - mean) / np.sqrt(var + 1e-5)).reshape(x.shape)

    return formula


def thresholded_response(x: np.ndarray) -> np.ndarray:
    """FRN + TLU as it starts: scale 1, shift 0, threshold 0 (arXiv 1911.09737, eqs. 1 and 2)."""
    return np.maximum(x / np.sqrt((x**2).mean((2, 3), keepdims=True) + 1e-6), 0)


def swish_over_std(x: np.ndarray) -> np.ndarray:
    """EvoNorm-S0 as it starts: scale 1, shift 0, v 1 (arXiv 2004.02967, table 2)."""
    std = np.sqrt(split(x).var((2, 3, 4), keepdims=True) + 1e-5)
    return (split(x / (1 + np.exp(-x))) / std).reshape(x.shape)


FORMULAS = {
    "bn": standardized(0, 3, 4),
    "gn": standardized(2, 3, 4),
    "ln": standardized(1, 2, 3, 4),
    "in": standardized(3, 4),
    "none": lambda x: x,
    "frn": thresholded_response,
    "evonorm_s0": swish_over_std,
}


@pytest.mark.parametrize("row", ROWS)
def test_the_values_are_those_of_float64_numpy(row):
    x = images()
    expected = FORMULAS[row](x.numpy().astype(np.float64))
    torch.testing.assert_close(build(row)(x).double(), torch.from_numpy(expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("row", ROWS)
def test_scale_and_shift_of_a_norm_are_its_last_step_before_a_threshold(row):
    layer, x = build(row), images()
    if row == "none":
        assert not list(layer.parameters())
        return
    before = layer(x).detach()
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(0.5, 2, CHANNELS))
        layer.bias.copy_(torch.linspace(0, 1, CHANNELS))  # no less than 0: a threshold of 0 stays out of it
    expected = before * layer.weight.view(-1, 1, 1) + layer.bias.view(-1, 1, 1)
    if row == "frn":  # where the threshold was met, the shift may lift the value over it
        met = before == 0
        assert met.any()
        torch.testing.assert_close(layer(x)[~met], expected[~met], rtol=1e-5, atol=1e-5)
        return
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)


def test_the_threshold_of_frn_is_the_least_value_of_its_channel():
    layer, x = build("frn"), images()
    with torch.no_grad():
        layer.threshold.copy_(torch.linspace(-0.5, 0.5, CHANNELS))
    least = layer(x).amin((0, 2, 3))
    torch.testing.assert_close(least, layer.threshold, rtol=0, atol=0)


def test_a_v_of_zero_halves_the_input_of_evonorm():
    layer, x = build("evonorm_s0"), images()
    with torch.no_grad():
        layer.v.zero_()  # sigmoid(0) = 1/2
    std = np.sqrt(split(x.numpy().astype(np.float64)).var((2, 3, 4), keepdims=True) + 1e-5)
    expected = torch.from_numpy((split(x.numpy().astype(np.float64)) / 2 / std).reshape(x.shape))
    torch.testing.assert_close(layer(x).double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("row", ["frn", "evonorm_s0"])
def test_timm_gives_the_same_values(row):
    layers = pytest.importorskip("timm.layers", reason="timm is a test oracle: pip install timm")
    ours, x = build(row), images()
    if row == "frn":
        theirs = layers.FilterResponseNormTlu2d(CHANNELS, eps=1e-6)
    else:
        theirs = layers.EvoNorm2dS0(CHANNELS, groups=GROUPS, eps=1e-5)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


def test_ghost_bn_equals_bn_on_each_chunk_running_statistics_included():
    ghost, plain = build("bn", stat_batch=2), build("bn")
    x = images()
    out = ghost(x)
    assert torch.equal(out, torch.cat([plain(x[i : i + 2]) for i in range(0, BATCH, 2)]))
    assert not torch.allclose(out, build("bn")(x), atol=1e-2)
    assert all(torch.equal(ghost.state_dict()[key], value) for key, value in plain.state_dict().items())


def test_the_running_statistics_of_bn_are_those_of_float64_numpy():
    layer, x = build("bn"), images()
    layer(x)
    pixels = x.numpy().astype(np.float64)
    mean = 0.1 * pixels.mean((0, 2, 3))  # momentum 0.1 from a start of 0
    var = 0.9 + 0.1 * pixels.var((0, 2, 3), ddof=1)  # from a start of 1; the running variance is the sample's
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-5)
    np.testing.assert_allclose(layer.running_var.numpy(), var, rtol=1e-5)


def test_ghost_bn_evaluates_as_plain_bn_whatever_the_batch():
    ghost, plain = build("bn", stat_batch=4), build("bn")
    ghost(images(batch=8))
    plain.load_state_dict(ghost.state_dict())
    x = images(batch=3, seed=1)
    assert torch.equal(ghost.eval()(x), plain.eval()(x))


def test_a_batch_that_does_not_split_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match=r"batch of 6 images .* stat_batch=4"):
        build("bn", stat_batch=4)(images())


def test_a_statistic_of_no_image_is_refused():
    with pytest.raises(ValueError, match="stat_batch=0"):
        build("bn", stat_batch=0)


@pytest.mark.parametrize(("batch", "stat_batch"), [(1, None), (4, 1)])
def test_bn_with_one_value_per_channel_is_refused_in_training_only(batch, stat_batch):
    layer, x = build("bn", stat_batch=stat_batch), images(batch, side=1)
    with pytest.raises(ValueError, match=r"one value per channel .* Use 2 or more images"):
        layer(x)
    assert layer.eval()(x).shape == x.shape


def test_bn_over_one_image_of_several_pixels_is_defined():
    assert build("bn")(images(batch=1)).isfinite().all()


def test_a_group_of_one_value_is_refused():
    with pytest.raises(ValueError, match="each group holds one value"):
        build("in")(images(side=1))
    assert build("gn")(images(side=1)).any()


@pytest.mark.parametrize(("row", "groups"), [("frn", GROUPS), ("evonorm_s0", CHANNELS)])
def test_an_activating_norm_of_one_value_is_refused(row, groups):
    layer = NORMS[row].build(CHANNELS, groups=groups)
    with pytest.raises(ValueError, match=r"holds one (pixel|value).* Use larger images"):
        layer(images(side=1))
    assert layer(images(side=2)).any()
