"""Standardized convolutions against float64 NumPy; what they keep, and what they save."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fairtrial.kernels.dispatch import KERNELS
from fairtrial.kernels.standardization import BIT, DEFINITIONS
from fairtrial.layers import CONVS, ScaledStdConv2d, StdConv2d
from tests.support.filters import oracle, weights

EPS = 1e-10
RELU_GAIN = (1 / 2 - 1 / (2 * np.pi)) ** -0.5  # E relu(z)^2 = 1/2 and E relu(z) = 1/sqrt(2 pi): 1.71286
SHAPES = [(16, 3, 3, 3), (64, 16, 1, 1), (16, 16, 3, 3), (64, 256, 1, 1), (8, 64, 7, 7), (5, 2, 3, 1)]

# Outputs are of size 1. float32 rounds at 6e-8; a mean over n terms and the root add a few units of that.
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def by_hand(weight: np.ndarray) -> np.ndarray:
    """The filters of a layer as BiT defines them."""
    return oracle(weight, np.zeros(weight.shape), BIT)[0]


def layer_of(weight: np.ndarray, conv: type[StdConv2d], kernels: str) -> StdConv2d:
    """A layer with these weights."""
    cout, cin, *size = weight.shape
    layer = conv(cin, cout, tuple(size), bias=False)
    layer.kernels = kernels
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
    return layer


def filters_of(layer: StdConv2d) -> torch.Tensor:
    """What it convolves with: its answer to images that are zero but for one pixel."""
    cout, cin, height, width = layer.weight.shape
    pixels = torch.eye(cin * height * width, dtype=layer.weight.dtype).view(-1, cin, height, width)
    return layer(pixels).view(-1, cout).T.reshape(layer.weight.shape)


def test_the_layer_convolves_with_the_standardized_filters():
    torch.manual_seed(0)
    layer = StdConv2d(5, 7, 3, stride=2, padding=1)
    x = torch.randn(2, 5, 9, 9)
    filters = torch.from_numpy(by_hand(layer.weight.detach().numpy()))
    expected = torch.conv2d(x.double(), filters, layer.bias.double(), stride=2, padding=1)
    torch.testing.assert_close(layer(x).double(), expected, rtol=1e-4, atol=1e-4)


def test_scale_and_shift_of_the_filters_do_not_change_the_output():
    torch.manual_seed(0)
    layer, x = StdConv2d(8, 4, 3, bias=False), torch.randn(2, 8, 6, 6)
    before = layer(x).detach()
    with torch.no_grad():
        layer.weight.mul_(10).add_(3)
    torch.testing.assert_close(layer(x), before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("level", CONVS)
def test_every_convolution_keeps_the_shape_and_gives_each_parameter_a_finite_gradient(level):
    torch.manual_seed(0)
    layer, x = CONVS[level](6, 8, 3, stride=2, padding=1, bias=False), torch.randn(2, 6, 9, 9)
    with torch.no_grad():
        layer.weight[1] = 0.25  # a constant filter
    out = layer(x)
    (out * torch.randn(out.shape)).sum().backward()
    assert out.shape == (2, 8, 5, 5)
    assert all(value.grad.isfinite().all() and value.grad.any() for value in layer.parameters())


@pytest.mark.parametrize("level", CONVS)
def test_the_state_dict_of_every_convolution_makes_a_round_trip(level):
    torch.manual_seed(0)
    layer, copy = (CONVS[level](6, 8, 3, bias=False) for _ in range(2))
    with torch.no_grad():
        for value in layer.parameters():
            value.add_(torch.rand(value.shape))
    copy.load_state_dict(layer.state_dict())
    x = torch.randn(2, 6, 9, 9)
    assert torch.equal(copy(x), layer(x))


def test_a_convolution_without_standardization_is_told_from_the_others_by_the_scale_of_its_filters():
    torch.manual_seed(0)
    x, changed = torch.randn(2, 6, 9, 9), {}
    for level, conv in CONVS.items():
        layer = conv(6, 8, 3, bias=False)
        before = layer(x).detach()
        with torch.no_grad():
            layer.weight.mul_(3)
        changed[level] = not torch.allclose(layer(x), before, rtol=1e-3, atol=1e-3)
    assert changed == {False: True, True: False, "scaled": False}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kernels", KERNELS)
def test_standardized_filters_are_those_of_float64_numpy(kernels, shape):
    weight = weights(shape)
    out = filters_of(layer_of(weight, StdConv2d, kernels))
    np.testing.assert_allclose(out.detach().numpy(), by_hand(weight), **CLOSE)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kernels", KERNELS)
def test_scaled_filters_are_those_of_float64_numpy(kernels, shape):
    weight, gain = weights(shape), np.linspace(0.5, 1.5, shape[0]).astype(np.float32)
    expected = by_hand(weight) * RELU_GAIN / np.sqrt(np.prod(shape[1:]))
    expected *= gain.reshape(-1, 1, 1, 1).astype(np.float64)
    layer = layer_of(weight, ScaledStdConv2d, kernels)
    with torch.no_grad():
        layer.gain.copy_(torch.from_numpy(gain))
    np.testing.assert_allclose(filters_of(layer).detach().numpy(), expected, **CLOSE)


@pytest.mark.parametrize("kernels", KERNELS)
def test_scaled_filters_have_exact_gradients_in_double_precision(kernels):
    layer = layer_of(weights((4, 3, 2, 2)), ScaledStdConv2d, kernels).double()
    gain = torch.linspace(0.5, 1.5, 4).double().requires_grad_()

    def filters(weight, gain):
        made = torch.func.functional_call(
            layer, {"weight": weight, "gain": gain}, torch.eye(12).double().view(12, 3, 2, 2)
        )
        return made.view(12, 4)

    assert torch.autograd.gradcheck(filters, (layer.weight, gain))


def test_a_layer_may_have_another_definition():
    layer = layer_of(weights((4, 3, 3, 3)), StdConv2d, "plain")
    layer.definition = DEFINITIONS["big_vision"]
    expected, _ = oracle(weights((4, 3, 3, 3)), np.zeros((4, 3, 3, 3)), DEFINITIONS["big_vision"])
    np.testing.assert_allclose(filters_of(layer).detach().numpy(), expected, **CLOSE)


def test_a_repeat_is_bit_identical():
    layer, x = layer_of(weights((64, 64, 3, 3)), StdConv2d, "fastest"), torch.ones(1, 64, 5, 5)
    assert torch.equal(layer(x), layer(x))


def test_a_scaled_convolution_keeps_the_variance_of_a_relu_of_normal_values():
    """Ten of them in a row; without the gain of the relu the variance would fall by a factor 2.9 each time.

    The variance over 512 channels has a relative error of about sqrt(2 / 512) = 6 % a layer, so ten layers
    stay within 0.5..2 (three standard deviations are 60 %).
    """
    torch.manual_seed(0)
    x = torch.randn(64, 512, 2, 2)
    with torch.no_grad():
        for _ in range(10):
            x = ScaledStdConv2d(512, 512, 1, bias=False)(torch.relu(x))
    assert 0.5 < x.var().item() < 2


def test_timm_gives_the_same_scaled_convolution():
    layers = pytest.importorskip("timm.layers", reason="timm is a test oracle: pip install timm")
    torch.manual_seed(0)
    theirs = layers.ScaledStdConv2d(6, 8, 3, bias=False, gamma=RELU_GAIN, eps=EPS)
    ours = ScaledStdConv2d(6, 8, 3, padding=1, bias=False)
    with torch.no_grad():
        theirs.gain.copy_(torch.linspace(0.5, 1.5, 8).view(-1, 1, 1, 1))
        ours.gain.copy_(theirs.gain.flatten())
        ours.weight.copy_(theirs.weight)
    x = torch.randn(2, 6, 9, 9)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
