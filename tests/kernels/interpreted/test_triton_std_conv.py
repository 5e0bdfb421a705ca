"""All filters in one launch, against float64 NumPy by hand: values, gradients, layouts, odd filters."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from fairtrial.kernels import triton_std_conv
from fairtrial.kernels.triton_std_conv import standardize_all, standardize_backward, standardize_forward

# Whole filters in a tile; sizes that are no multiple of 4; just a tile; more than one.
SHAPES = [(70, 64, 1, 1), (3, 12, 7, 7), (2, 3, 3, 3), (1, 2, 3, 1), (1, 4096, 1, 1), (1, 456, 3, 3)]
FEW = [(6, 4, 3, 3), (2, 2, 3, 1)]  # one tile, and two filters alone
DEFINITIONS = {
    "bit": (1e-10, {}),
    "timm": (1e-6, {}),
    "big_vision": (1e-5, {"outside": True}),
    "sample": (1e-5, {"outside": True, "correction": 1}),
    "sample_inside": (0.5, {"correction": 1}),  # an eps that counts, in the slope too
    "outside_far": (0.5, {"outside": True}),
}
# Outputs are of size 1. float32 rounds at 6e-8; a mean over n terms and the root add a few units of that.
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def draws(shape, seed=0, mean=0.3, scale=1.0):
    """Filters of this mean, in standard deviations, and this scale."""
    return scale * np.random.default_rng(seed).normal(mean, 1, shape)


def tensors(arrays, device, dtype=torch.float32, layout=torch.contiguous_format):
    made = [torch.from_numpy(array).to(device, dtype).contiguous(memory_format=layout) for array in arrays]
    return [each.requires_grad_() for each in made]


def double(tensor):
    return tensor.detach().cpu().double().numpy()


def oracle(weight, upstream, eps, outside=False, correction=0):
    """Standardized filters and the gradient of sum(upstream * them): by the chain rule, filter by filter."""
    out, grad = np.empty(weight.shape), np.empty(weight.shape)
    for i, (filter_, g) in enumerate(zip(weight, upstream, strict=True)):
        centred = filter_ - filter_.mean()
        count = filter_.size - correction
        variance = (centred**2).sum() / count
        root = np.sqrt(variance) + eps if outside else np.sqrt(variance + eps)
        out[i] = centred / root
        root_by_variance = 1 / (2 * np.sqrt(variance)) if outside else 1 / (2 * root)
        by_root = -(g * centred).sum() / root**2
        by_centred = g / root + by_root * root_by_variance * 2 * centred / count
        grad[i] = by_centred - by_centred.mean()
    return out, grad


def assert_right(weights, upstream, definition="bit", close=CLOSE):
    eps, options = DEFINITIONS[definition]
    out = standardize_all(weights, eps, **options)
    grads = torch.autograd.grad(out, weights, upstream)
    for weight, g, result, grad in zip(weights, upstream, out, grads, strict=True):
        expected, expected_grad = oracle(double(weight), double(g), eps, **options)
        np.testing.assert_allclose(double(result), expected, **close)
        scale = np.abs(expected_grad).max()
        np.testing.assert_allclose(double(grad) / scale, expected_grad / scale, **close)
        assert result.dtype == grad.dtype == weight.dtype
        assert result.stride() == grad.stride() == weight.stride()


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_every_definition_equals_float64_numpy_forward_and_backward(definition, device):
    shapes = SHAPES if definition in ("bit", "sample") else FEW
    weights = tensors([draws(shape) for shape in shapes], device)
    assert_right(weights, tensors([draws(shape, 1) for shape in shapes], device), definition)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_rounded_once_at_the_end(dtype, device, unit):
    weights = tensors([draws(shape) for shape in FEW], device, dtype)
    upstream = tensors([draws(shape, 1) for shape in FEW], device, dtype)
    assert_right(weights, upstream, close={"rtol": unit(dtype), "atol": 1e-5})


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_filters_are_rounded_as_a_cast_after_them_would(layout, device, unit):
    """To the bit on a GPU; the gradients come in that dtype, and go out in that of the weights."""
    weights = tensors([draws(shape) for shape in SHAPES], device, layout=layout)
    made = standardize_all(weights, 1e-10, dtype=torch.bfloat16)
    whole = standardize_all(weights, 1e-10)
    for half, full in zip(made, whole, strict=True):
        assert half.dtype == torch.bfloat16 and half.stride() == full.stride()
        error = 2 * unit(torch.bfloat16) if device == "cpu" else 0
        torch.testing.assert_close(half, full.to(torch.bfloat16), rtol=error, atol=0)
    upstream = tensors([draws(shape, 1) for shape in SHAPES], device, torch.bfloat16, layout)
    found = torch.autograd.grad(made, weights, upstream)
    expected = torch.autograd.grad(whole, weights, [each.float() for each in upstream])
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6 * float(other.abs().max()))


@pytest.mark.parametrize("grad_layout", [torch.contiguous_format, torch.channels_last])
def test_channels_last_filters_keep_their_layout_whatever_the_gradients(grad_layout, device):
    weights = tensors([draws(shape) for shape in FEW], device, layout=torch.channels_last)
    assert_right(weights, tensors([draws(shape, 1) for shape in FEW], device, layout=grad_layout))


def test_the_scale_and_a_large_mean_of_the_filters_cost_no_digits(device):
    pairs = [(1e-6, 0), (1e-6, 100), (1, 100), (1e6, 0), (1e6, 100), (1e12, 100)]
    shapes = [(4, 16, 3, 3), (2, 600, 3, 3)]
    arrays = [draws(shape, i, mean, scale) for i, (scale, mean) in enumerate(pairs) for shape in shapes]
    assert_right(tensors(arrays, device), tensors([draws(array.shape, 1) for array in arrays], device))


@pytest.mark.parametrize(
    ("definition", "value", "shape"),
    [
        pytest.param(*case, marks=[] if case[1] == 0.3 or case[2] == (4, 8, 3, 3) else pytest.mark.soak)
        for case in product(["bit", "big_vision"], [0.0, 0.3, -1e6], [(4, 8, 3, 3), (4, 600, 3, 3)])
    ],
)
def test_a_constant_filter_becomes_zero_and_keeps_a_finite_gradient(definition, value, shape, device):
    eps, options = DEFINITIONS[definition]
    array = draws(shape)
    array[1] = value
    (weight,) = tensors([array], device)
    g = draws(shape, 1).astype(np.float32)
    (out,) = standardize_all([weight], eps, **options)
    out.backward(torch.from_numpy(g).to(device))
    assert not out[1].any()
    assert out[0].any()
    # Of no variance, the root is that of eps alone: 1e-5 in both definitions.
    expected = (g[1].astype(np.float64) - g[1].astype(np.float64).mean()) * 1e5
    np.testing.assert_allclose(double(weight.grad[1]), expected, rtol=1e-4, atol=1.0)


def test_a_filter_of_one_weight_becomes_zero(device):
    (out,) = standardize_all([torch.full((3, 1, 1, 1), 0.7, device=device)], 1e-10)
    assert out.shape == (3, 1, 1, 1)
    assert not out.any()


@pytest.mark.parametrize(("options", "expected"), [({}, 0.5), ({"outside": True}, 0.25)])
def test_the_place_of_eps_by_hand(options, expected, device):
    weight = torch.tensor([1.0, -1.0], device=device).reshape(1, 2, 1, 1)  # variance 1, sample variance 2
    (out,) = standardize_all([weight], 3.0, **options)  # 1 / sqrt(1 + 3), 1 / (1 + 3)
    assert out.flatten().tolist() == pytest.approx([expected, -expected])
    (out,) = standardize_all([weight], 2.0, correction=1)  # 1 / sqrt(2 + 2)
    assert out.flatten().tolist() == pytest.approx([0.5, -0.5])


def test_one_launch_each_way_whatever_the_number_of_tensors(launches, device):
    forward = launches(triton_std_conv, "forward_kernel")
    backward = launches(triton_std_conv, "backward_kernel")
    weights = tensors([draws((2, 4, 1, 1), i) for i in range(9)], device)
    out = standardize_all(weights, 1e-10)
    assert (forward.count, backward.count) == (1, 0)
    torch.autograd.grad(sum(each.square().sum() for each in out), weights)
    assert (forward.count, backward.count) == (1, 1)


def test_the_table_of_addresses_is_made_again_only_when_one_changes(device):
    weights = tensors([draws((2, 4, 1, 1), i) for i in range(3)], device)
    standardize_all(weights, 1e-10)
    made = triton_std_conv._copied.cache_info().misses
    with torch.no_grad():
        weights[0].add_(torch.arange(4, device=device).view(1, 4, 1, 1))
    assert_right(weights[:1], tensors([draws((2, 4, 1, 1), 9)], device))  # another list: tables of its own
    lone = triton_std_conv._copied.cache_info().misses
    assert lone > made
    changed = standardize_all(weights, 1e-10)
    assert triton_std_conv._copied.cache_info().misses == lone
    np.testing.assert_allclose(
        double(changed[0]), oracle(double(weights[0]), np.zeros((2, 4, 1, 1)), 1e-10)[0], **CLOSE
    )


def test_weights_that_are_views_are_read_where_they_lie(device):
    """Off the multiples of 16 bytes; every other filter; a sum's gradient, which has no strides at all."""
    buffer = torch.from_numpy(draws(400)).float().to(device)
    odd = buffer[1:289].view(8, 4, 3, 3).requires_grad_()
    sparse = buffer[:288].view(8, 4, 3, 3)[::2].requires_grad_()
    assert not triton_std_conv._plan([odd], [odd], 4).tiles[:, 6].any()  # value by value, as the kind 0 says
    assert_right([odd], tensors([draws((8, 4, 3, 3), 1)], device))
    (out,) = standardize_all([sparse], 1e-10)
    np.testing.assert_allclose(double(out), oracle(double(sparse), double(out), 1e-10)[0], **CLOSE)
    (grad,) = torch.autograd.grad(out.sum(), sparse)
    assert grad.abs().max() < 1e-5  # the sum of a standardized filter is zero, wherever it stands


def test_an_output_without_a_gradient_counts_as_zero(device):
    weights = tensors([draws((2, 4, 1, 1), i) for i in range(2)], device)
    out = standardize_all(weights, 1e-10)
    used, unused = torch.autograd.grad(out[0].square().cumsum(1).sum(), weights)
    assert used.any()
    assert not unused.any()


def test_a_repeat_is_bit_identical(device):
    weights = tensors([draws(shape) for shape in SHAPES], device)
    first, second = standardize_all(weights, 1e-10), standardize_all(weights, 1e-10)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_gradients_of_gradients_are_refused(device):
    (weight,) = tensors([draws((2, 4, 1, 1))], device)
    (out,) = standardize_all([weight], 1e-10)
    (grad,) = torch.autograd.grad(out.square().cumsum(1).sum(), weight, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


def test_both_launches_are_custom_ops_as_torch_wants_them(device):
    """Sizes are multiples of 64 here: between tensors the joint buffer holds whatever was there."""
    weights = [each.detach() for each in tensors([draws((4, 16, 1, 1)), draws((2, 32, 2, 1))], device)]
    _, statistics = standardize_forward(weights, 1e-10, False, 0, torch.float32)
    torch.library.opcheck(standardize_forward, (weights, 1e-10, False, 0, torch.float32))
    torch.library.opcheck(standardize_backward, (weights, weights, statistics, 1e-10, False, 0))


def test_a_compiled_graph_holds_them_without_a_break(device):
    weights = tensors([draws((4, 16, 1, 1)), draws((5, 2, 3, 1))], device)

    def total(weights):
        one, other = standardize_all(weights, 1e-10)
        return (one**3).sum() + (other**3).sum()

    compiled = torch.compile(total, backend="aot_eager", fullgraph=True)
    for ours, plain in zip(
        torch.autograd.grad(compiled(weights), weights),
        torch.autograd.grad(total(weights), weights),
        strict=True,
    ):
        torch.testing.assert_close(ours, plain, **CLOSE)


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        ([], {}, "got no tensors"),
        ([torch.ones(2, 3, 1, 1).double()], {}, "but got torch.float64"),
        ([torch.ones(2, 3, 1, 1), torch.ones(2, 3, 1, 1).half()], {}, "expected one dtype"),
        ([torch.ones(2)], {}, r"shape \(2,\); expected \(out, in, kh, kw\)"),
        ([torch.ones(2, 1, 1, 1)], {"correction": 1}, "more than 1 values to a filter"),
        ([torch.ones(0, 3, 1, 1)], {}, r"shape \(0, 3, 1, 1\)"),
        ([torch.ones(2, 3, 1, 1), torch.ones(2, 3, 1, 1, device="meta")], {}, "on cpu, meta; move them"),
    ],
)
def test_what_a_kernel_would_misread_is_refused(weights, options, message, device):
    if device == "cuda" and len(weights) and weights[-1].device.type == "cpu":
        weights = [weight.to(device) for weight in weights]
    with pytest.raises(ValueError, match=message):
        standardize_all(weights, 1e-10, **options)
