"""Group normalization with its relu in Triton, against float64 by hand and against torch."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from fairtrial.kernels import triton_group_norm
from fairtrial.kernels.triton_group_norm import cut, group_norm_relu

EPS = 1e-5
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
# (images, groups): several groups to a tile; odd sizes; one pixel; LN in several tiles, of few and of
# very many channels; IN; a group in several tiles of pixels.
CASES = [
    ((2, 16, 5, 5), 4),
    ((2, 12, 3, 7), 4),
    ((2, 6, 1, 1), 2),
    ((1, 12, 33, 29), 1),
    ((2, 9000, 1, 1), 1),
    ((1, 3, 9, 5), 3),
    ((1, 4, 70, 61), 2),
]
# Outputs are of size 1. float32 rounds at 6e-8; sums over n terms and the root add a few units of that.
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def build(shape, device, layout="contiguous", dtype=torch.float32, mean=0.5, scale=2.0):
    """Images, scales, shifts and an upstream gradient."""
    random = np.random.default_rng(0)
    x = random.normal(mean * scale, scale, shape)
    parameters = random.normal(0.5, 1, (2, shape[1]))
    images = [torch.from_numpy(each).to(device, dtype) for each in (x, random.normal(size=shape))]
    x, upstream = (each.contiguous(memory_format=LAYOUTS[layout]) for each in images)
    weight, bias = torch.from_numpy(parameters).to(device, torch.float32)
    return x.requires_grad_(), weight.requires_grad_(), bias.requires_grad_(), upstream


def double(tensor):
    return tensor.detach().cpu().double().numpy()


def oracle(x, groups, weight, bias, upstream, relu):
    """Output and the gradients of sum(upstream * output) by x, weight and bias: by hand."""
    batch, channels, *_ = x.shape
    split = x.reshape(batch, groups, -1)
    centred = split - split.mean(2, keepdims=True)
    root = np.sqrt((centred**2).mean(2, keepdims=True) + EPS)
    normal = (centred / root).reshape(x.shape)
    by_channel = (1, channels, 1, 1)
    out = normal * weight.reshape(by_channel) + bias.reshape(by_channel)
    g = np.where(out > 0, upstream, 0) if relu else upstream
    by_normal = (g * weight.reshape(by_channel)).reshape(split.shape)
    flat = normal.reshape(split.shape)
    dx = by_normal - by_normal.mean(2, keepdims=True) - flat * (by_normal * flat).mean(2, keepdims=True)
    grads = (dx / root).reshape(x.shape), (g * normal).sum((0, 2, 3)), g.sum((0, 2, 3))
    return (np.maximum(out, 0) if relu else out), grads


def assert_right(inputs, groups, relu=True, close=CLOSE):
    x, weight, bias, upstream = inputs
    out = group_norm_relu(x, groups, weight, bias, EPS, relu)
    grads = torch.autograd.grad(out, (x, weight, bias), upstream)
    expected, expected_grads = oracle(double(x), groups, double(weight), double(bias), double(upstream), relu)
    np.testing.assert_allclose(double(out), expected, **close)
    for grad, right in zip(grads, expected_grads, strict=True):
        scale = np.abs(right).max() or 1.0
        np.testing.assert_allclose(double(grad) / scale, right / scale, **close)
    assert out.stride() == grads[0].stride() == x.stride()
    assert [each.dtype for each in (out, *grads)] == [each.dtype for each in (x, x, weight, bias)]


def every_day(case, relu, layout):
    """Whether the interpreter runs a case in each run of the tests; each night it has them all."""
    return case == CASES[0] or relu == (layout == "contiguous")


@pytest.mark.parametrize(
    ("shape", "groups", "relu", "layout"),
    [
        pytest.param(*case, *how, marks=[] if every_day(case, *how) else pytest.mark.soak)
        for case, *how in product(CASES, [True, False], LAYOUTS)
    ],
    ids=str,
)
def test_it_equals_float64_numpy_forward_and_backward(shape, groups, relu, layout, device):
    assert_right(build(shape, device, layout), groups, relu)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_rounded_once_at_the_end(dtype, layout, device, unit):
    inputs = build((2, 16, 5, 5), device, layout, dtype)
    assert_right(inputs, 4, close={"rtol": unit(dtype), "atol": 1e-5})


@pytest.mark.parametrize("layout", LAYOUTS)
def test_torch_gives_the_same(layout, device):
    x, weight, bias, upstream = build((2, 16, 6, 4), device, layout)
    ours = group_norm_relu(x, 8, weight, bias, EPS)
    theirs = torch.nn.functional.group_norm(x, 8, weight, bias, EPS).relu()
    torch.testing.assert_close(ours, theirs, **CLOSE)
    for our, their in zip(
        torch.autograd.grad(ours, (x, weight, bias), upstream),
        torch.autograd.grad(theirs, (x, weight, bias), upstream),
        strict=True,
    ):
        torch.testing.assert_close(our, their, **CLOSE)


@pytest.mark.parametrize(("shape", "groups", "scale"), [((2, 16, 5, 5), 4, 1e6), ((1, 2, 70, 61), 1, 1)])
def test_a_mean_a_hundred_times_the_standard_deviation_is_taken_off(shape, groups, scale, device):
    """The mean itself is a float32: it is off by up to 100 * 6e-8 standard deviations."""
    inputs = build(shape, device, mean=100, scale=scale)
    assert_right(inputs, groups, relu=False, close={"rtol": 3e-5, "atol": 3e-5})


@pytest.mark.parametrize(("shape", "groups"), [((2, 6, 1, 7), 2), ((1, 4, 70, 61), 2)], ids=str)
def test_a_constant_image_gives_its_shifts_and_finite_gradients(shape, groups, device):
    _, weight, bias, upstream = build(shape, device)
    x = torch.full(shape, 0.1, device=device).requires_grad_()  # in float32 21 of them make no 2.1
    out = group_norm_relu(x, groups, weight, bias, EPS, relu=False)
    assert torch.equal(out, bias.view(1, -1, 1, 1).expand(shape))
    assert all(grad.isfinite().all() for grad in torch.autograd.grad(out, (x, weight, bias), upstream))


def test_a_value_that_is_no_number_passes_the_relu(device):
    x, weight, bias, _ = build((1, 4, 2, 2), device)
    with torch.no_grad():
        x[0, 0, 0, 0] = torch.nan
    out = group_norm_relu(x, 2, weight, bias, EPS)
    assert out[0, :2].isnan().all()
    assert not out[0, 2:].isnan().any()


def test_images_that_are_views_are_read_where_they_lie(device):
    x, weight, bias, _ = build((4, 16, 5, 5), device)
    every_other = x.detach()[::2].requires_grad_()
    out = group_norm_relu(every_other, 4, weight, bias, EPS)
    assert torch.equal(out, group_norm_relu(every_other.contiguous(), 4, weight, bias, EPS))
    (grad,) = torch.autograd.grad(out.sum(), weight)  # a gradient without strides
    assert grad.any()


def test_a_repeat_is_bit_identical(device):
    x, weight, bias, upstream = build((1, 4, 70, 61), device)
    runs = []
    for _ in range(2):
        out = group_norm_relu(x, 2, weight, bias, EPS)
        runs.append((out, *torch.autograd.grad(out, (x, weight, bias), upstream)))
    assert all(torch.equal(one, other) for one, other in zip(*runs, strict=True))


@pytest.mark.parametrize(("shape", "reads"), [((2, 16, 5, 5), 1), ((1, 4, 70, 61), 2)])
def test_a_group_that_fits_in_a_tile_is_read_once_each_way(shape, reads, launches, device):
    readers = ("statistics_kernel", "forward_kernel", "sums_kernel", "backward_kernel")
    counts = [launches(triton_group_norm, name) for name in readers]
    x, weight, bias, upstream = build(shape, device)
    out = group_norm_relu(x, 2, weight, bias, EPS)
    assert sum(each.count for each in counts[:2]) == reads
    out.backward(upstream)
    assert sum(each.count for each in counts[2:]) == reads
    assert cut(x, 2).whole is (reads == 1)


def test_gradients_of_gradients_are_refused(device):
    x, weight, bias, _ = build((2, 4, 2, 2), device)
    out = group_norm_relu(x, 2, weight, bias, EPS)
    (grad,) = torch.autograd.grad(out.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


@pytest.mark.parametrize(
    ("shape", "groups", "channels"),
    [((2, 6, 2, 2), 4, 6), ((2, 6, 2), 2, 6), ((2, 6, 2, 2), 2, 5), ((0, 6, 2, 2), 2, 6)],
)
def test_what_a_kernel_would_misread_is_refused(shape, groups, channels, device):
    parameters = torch.ones(channels, device=device)
    with pytest.raises(ValueError, match=r"expected \(batch, channels, height, width\), a number of groups"):
        group_norm_relu(torch.ones(shape, device=device), groups, parameters, parameters, EPS)
