"""Standardized convolutions against float64 NumPy: values, gradients, and the filters at the edge."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fairtrial.layers import CONVS, ScaledStdConv2d, StdConv2d, standardize
from fairtrial.layers.std_conv import standardize_fused, standardize_scaled

EPS = 1e-10
FORMS = {"plain": standardize, "fused": standardize_fused}
RELU_GAIN = (1 / 2 - 1 / (2 * np.pi)) ** -0.5  # E relu(z)^2 = 1/2 and E relu(z) = 1/sqrt(2 pi): 1.71286
SHAPES = [(16, 3, 3, 3), (64, 16, 1, 1), (16, 16, 3, 3), (64, 256, 1, 1), (8, 64, 7, 7), (5, 2, 3, 1)]

# Outputs are of size 1. float32 rounds at 6e-8; a mean over n terms and the root add a few units of that.
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def weights(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """He-normal filters with a mean that standardization must remove."""
    scale = np.sqrt(2 / np.prod(shape[1:]))
    return np.random.default_rng(seed).normal(0.3 * scale, scale, shape).astype(np.float32)


def oracle(weight: np.ndarray, upstream: np.ndarray, eps: float = EPS) -> tuple[np.ndarray, np.ndarray]:
    """The standardized filters and the gradient of sum(upstream * them): by hand, in float64, one by one."""
    out, grad = np.empty(weight.shape), np.empty(weight.shape)
    for i, (filter_, g) in enumerate(
        zip(weight.astype(np.float64), upstream.astype(np.float64), strict=True)
    ):
        centred = filter_ - filter_.mean()
        root = np.sqrt((centred**2).mean() + eps)
        out[i] = centred / root
        grad[i] = (g - g.mean() - out[i] * (g * out[i]).mean()) / root
    return out, grad


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_both_forms_equal_float64_numpy_forward_and_backward(form, shape):
    weight = weights(shape)
    upstream = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    tensor = torch.from_numpy(weight).requires_grad_()
    out = FORMS[form](tensor, EPS)
    out.backward(torch.from_numpy(upstream))
    expected, expected_grad = oracle(weight, upstream)
    np.testing.assert_allclose(out.detach().numpy(), expected, **CLOSE)
    scale = np.abs(expected_grad).max()
    np.testing.assert_allclose(tensor.grad.numpy() / scale, expected_grad / scale, **CLOSE)


@pytest.mark.parametrize("form", FORMS)
def test_both_forms_are_exact_in_double_precision(form):
    weight = torch.from_numpy(weights((6, 4, 3, 3))).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda w: FORMS[form](w, EPS), weight)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [0.0, 1.0, -0.3])
def test_a_constant_filter_becomes_zero_and_keeps_a_finite_gradient(form, value):
    weight = weights((4, 8, 3, 3))
    weight[1] = value
    upstream = np.random.default_rng(1).normal(size=weight.shape).astype(np.float32)
    tensor = torch.from_numpy(weight).requires_grad_()
    out = FORMS[form](tensor, EPS)
    out.backward(torch.from_numpy(upstream))
    assert not out[1].detach().numpy().any()
    # With no variance the root is that of eps alone: a gradient of (g - mean g) * 1e5, large but right.
    expected = (upstream[1].astype(np.float64) - upstream[1].astype(np.float64).mean()) / np.sqrt(EPS)
    np.testing.assert_allclose(tensor.grad[1].numpy(), expected, rtol=1e-4, atol=1.0)


@pytest.mark.parametrize("form", FORMS)
def test_a_filter_of_one_weight_becomes_zero(form):
    assert not FORMS[form](torch.full((3, 1, 1, 1), 0.7), EPS).any()


@pytest.mark.parametrize("form", FORMS)
def test_eps_stands_inside_the_root_and_the_variance_is_the_populations(form):
    filter_ = torch.tensor([1.0, -1.0]).reshape(1, 2, 1, 1)  # variance 1 (sample variance 2)
    out = FORMS[form](filter_, 3.0)
    assert out.flatten().tolist() == pytest.approx([0.5, -0.5])  # 1 / sqrt(1 + 3)


def test_the_layer_convolves_with_the_standardized_filters():
    torch.manual_seed(0)
    layer = StdConv2d(5, 7, 3, stride=2, padding=1)
    x = torch.randn(2, 5, 9, 9)
    filters, _ = oracle(layer.weight.detach().numpy(), np.zeros(layer.weight.shape))
    expected = torch.conv2d(x.double(), torch.from_numpy(filters), layer.bias.double(), stride=2, padding=1)
    torch.testing.assert_close(layer(x).double(), expected, rtol=1e-4, atol=1e-4)


def test_scale_and_shift_of_the_filters_do_not_change_the_output():
    torch.manual_seed(0)
    layer, x = StdConv2d(8, 4, 3, bias=False), torch.randn(2, 8, 6, 6)
    before = layer(x).detach()
    with torch.no_grad():
        layer.weight.mul_(10).add_(3)
    torch.testing.assert_close(layer(x), before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_channels_last_filters_give_the_same_values(form):
    weight = torch.from_numpy(weights((16, 16, 3, 3)))
    other_layout = weight.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(FORMS[form](other_layout, EPS), FORMS[form](weight, EPS), **CLOSE)


def test_a_repeat_is_bit_identical():
    weight = torch.from_numpy(weights((64, 64, 3, 3)))
    assert torch.equal(standardize_fused(weight, EPS), standardize_fused(weight, EPS))


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
def test_scaled_filters_are_those_of_float64_numpy(shape):
    weight, gain = weights(shape), np.linspace(0.5, 1.5, shape[0]).astype(np.float32)
    expected, _ = oracle(weight, np.zeros(shape))
    expected *= RELU_GAIN / np.sqrt(np.prod(shape[1:])) * gain.reshape(-1, 1, 1, 1).astype(np.float64)
    out = standardize_scaled(torch.from_numpy(weight), torch.from_numpy(gain), EPS)
    np.testing.assert_allclose(out.numpy(), expected, **CLOSE)


def test_scaled_filters_have_exact_gradients_in_double_precision():
    weight = torch.from_numpy(weights((4, 3, 2, 2))).double().requires_grad_()
    gain = torch.linspace(0.5, 1.5, 4).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda w, g: standardize_scaled(w, g, EPS), (weight, gain))


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
