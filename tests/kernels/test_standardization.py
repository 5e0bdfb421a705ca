"""Every way to standardize filters, by every definition of it, against float64 NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fairtrial.kernels.dispatch import KERNELS, OURS
from fairtrial.kernels.standardization import (
    BIT,
    DEFINITIONS,
    WAYS,
    Definition,
    standardize,
    standardize_all,
    way_of,
)
from tests.support.filters import (
    CLOSE,
    HERE,
    INSIDE,
    KNOWN,
    LAYOUTS,
    SHAPES,
    close,
    every_way,
    leaf,
    need,
    normal,
    oracle,
    run,
    weights,
)

HALVES = {torch.bfloat16: (1e-12, 1.0, 1e12), torch.float16: (1e-2, 1.0, 1e3)}  # scales that the dtype holds
# Of filters whose mean is 100 deviations: rounding of it is 100 times as large, seen from a deviation.
FAR = 1e-4


def floor_of(name: str) -> float:
    """What a filter without variance is divided by."""
    definition = DEFINITIONS[name]
    return definition.eps if definition.outside else np.sqrt(definition.eps)


by_definition = pytest.mark.parametrize(("way", "name"), KNOWN)


def check(way: str, name: str, weight: np.ndarray, tolerance: float, layout: str = "nchw") -> None:
    upstream = normal(weight.shape)
    (out,), (grad,) = run(way, [leaf(weight, layout)], [torch.from_numpy(upstream)], DEFINITIONS[name])
    expected, expected_grad = oracle(weight, upstream, DEFINITIONS[name])
    close(out, expected, tolerance)
    close(grad, expected_grad, tolerance)


def test_the_definitions_are_the_published_ones():
    found = {name: (each.eps, each.outside, each.correction) for name, each in DEFINITIONS.items()}
    assert found == {
        "bit": (1e-10, False, 0),
        "timm": (1e-6, False, 0),
        "timm-bit": (1e-8, False, 0),
        "big_vision": (1e-5, True, 0),
        "ws": (1e-5, True, 1),
    }


@pytest.mark.parametrize("name", DEFINITIONS)
def test_the_gradient_by_hand_is_that_of_finite_differences(name):
    """So that the battery may be trusted. Central differences of 1e-5 err by about 1e-10."""
    weight, upstream = weights((2, 3, 2, 1)).astype(np.float64), normal((2, 3, 2, 1))
    slopes = np.empty(weight.shape)
    for place in np.ndindex(weight.shape):
        step = np.zeros(weight.shape)
        step[place] = 1e-5
        up, down = (oracle(weight + way * step, upstream, DEFINITIONS[name])[0] for way in (1, -1))
        slopes[place] = ((up - down) * upstream).sum() / 2e-5
    np.testing.assert_allclose(oracle(weight, upstream, DEFINITIONS[name])[1], slopes, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@by_definition
def test_filters_and_gradients_are_those_of_float64(way, name, shape, layout):
    check(way, name, weights(shape), CLOSE, layout)


@by_definition
def test_a_mean_of_100_deviations_is_removed(way, name):
    check(way, name, weights((16, 16, 3, 3), mean=100), FAR)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_the_compiled_kernels_remove_a_mean_of_1000_deviations(name):
    """They take away what rounding left of the mean too: 6e-5 of a deviation in float32."""
    check("compiled", name, weights((16, 512, 3, 3), mean=1000), CLOSE)


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e-3, 1e3, 1e6, 1e12])
@by_definition
def test_filters_of_any_size_are_right(way, name, scale):
    """The formula's backward pass has 1 / deviation^3, and float32 ends at 1e-38: hence 1e12."""
    check(way, name, weights((16, 16, 3, 3)) * np.float32(scale), CLOSE)


@by_definition
@pytest.mark.parametrize("value", [0.0, 1.0, -0.3])
def test_a_constant_filter_becomes_zero_and_its_gradient_is_that_of_eps_alone(way, name, value):
    weight = weights((4, 8, 3, 3))
    weight[1] = value
    upstream = normal(weight.shape)
    (out,), (grad,) = run(way, [leaf(weight)], [torch.from_numpy(upstream)], DEFINITIONS[name])
    assert out[1].abs().max() <= abs(value) * 1.2e-7 / floor_of(name)  # what rounding of the mean leaves
    g = upstream[1].astype(np.float64)
    close(grad[1], (g - g.mean()) / floor_of(name), 1e-4)
    close(out[2:], oracle(weight, upstream, DEFINITIONS[name])[0][2:], CLOSE)


@by_definition
def test_a_filter_of_one_weight_becomes_zero(way, name):
    """In batch norm up to rounding: it computes w / root - mean / root, two large numbers."""
    (out,), (grad,) = run(
        way, [leaf(np.full((3, 1, 1, 1), 0.7, np.float32))], [torch.ones(3, 1, 1, 1)], DEFINITIONS[name]
    )
    assert out.abs().max() <= (0.7 * 1.2e-7 / floor_of(name) if way == "batch_norm" else 0)
    assert not grad.any()


@by_definition
def test_a_filter_that_is_no_number_is_never_hidden(way, name):
    need(way)
    weight = torch.from_numpy(weights((3, 4, 3, 3)))
    weight[0, 0, 0, 0], weight[1, 2, 1, 1] = float("nan"), float("inf")
    (out,) = WAYS[way]([weight], DEFINITIONS[name])
    assert out[:2].isnan().flatten(1).any(1).all()
    assert out[2].isfinite().all()


@every_way
@pytest.mark.parametrize("name", [name for name in DEFINITIONS if name not in INSIDE])
def test_a_way_that_does_not_know_a_definition_says_so(way, name):
    if (way, name) in KNOWN:
        return
    with pytest.raises(ValueError, match="eps inside the root"):
        WAYS[way]([torch.ones(2, 2, 1, 1)], DEFINITIONS[name])


@pytest.mark.parametrize(
    ("definition", "value"),
    [
        (Definition(3.0), 0.5),  # variance 1: 1 / sqrt(1 + 3)
        (Definition(3.0, outside=True), 0.25),  # 1 / (1 + 3)
        (Definition(2.0, correction=1), 0.5),  # sample variance 2: 1 / sqrt(2 + 2)
        (Definition(1.0, outside=True, correction=1), 1 / (1 + np.sqrt(2))),
    ],
)
@pytest.mark.parametrize("way", ["var_mean", "compiled"])
def test_eps_and_the_variance_stand_where_the_definition_says(way, definition, value):
    need(way)
    (out,) = WAYS[way]([torch.tensor([1.0, -1.0]).reshape(1, 2, 1, 1)], definition)
    assert out.flatten().tolist() == pytest.approx([value, -value])


@pytest.mark.parametrize("name", DEFINITIONS)
@pytest.mark.parametrize("way", [way for way in HERE if way != "compiled"])
def test_gradients_are_exact_in_double_precision(way, name):
    if (way, name) in KNOWN:
        weight = torch.from_numpy(weights((6, 4, 3, 3))).double().requires_grad_()
        assert torch.autograd.gradcheck(lambda w: WAYS[way]([w], DEFINITIONS[name]), weight)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@by_definition
def test_half_precision_rounds_once(way, name, dtype):
    """Half a unit of the result at most, plus one that the gradient takes from rounded filters."""
    for scale in HALVES[dtype] if way != "compiled" else ():
        weight = torch.from_numpy(weights((16, 16, 3, 3)) * np.float32(scale)).to(dtype)
        upstream = torch.from_numpy(normal(weight.shape)).to(dtype)
        given = weight.double().numpy(), upstream.double().numpy()
        (out,), (grad,) = run(way, [weight.requires_grad_()], [upstream], DEFINITIONS[name])
        expected, expected_grad = oracle(*given, DEFINITIONS[name])
        assert out.dtype == grad.dtype == dtype
        close(out, expected, torch.finfo(dtype).eps)
        close(grad, expected_grad, 2 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [torch.float64, *HALVES], ids=str)
def test_compiled_kernels_refuse_what_is_not_float32(dtype):
    need("compiled")
    weight = torch.ones(2, 2, 1, 1)
    with pytest.raises(ValueError, match=f"not {dtype}"):
        WAYS["compiled"]([weight, weight.to(dtype)], BIT)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALVES], ids=str)
def test_every_dtype_has_a_way(kernels, dtype):
    weight = torch.from_numpy(weights((4, 3, 3, 3))).to(dtype)
    ours = kernels in OURS and dtype == torch.float32
    if ours:
        need("compiled")
    expected = "compiled" if ours else "var_mean" if kernels == "plain" else "layer_norm"
    assert way_of(kernels, weight) == expected
    (out,) = standardize_all([weight], BIT, kernels)
    close(
        out, oracle(weight.double().numpy(), weight.double().numpy(), BIT)[0], torch.finfo(dtype).eps + 1e-6
    )


@pytest.mark.parametrize("kernels", KERNELS)
def test_what_a_choice_picks_is_what_its_row_computes(kernels):
    weight = torch.from_numpy(weights((4, 3, 3, 3)))
    way = way_of(kernels, weight)
    need(way)
    assert torch.equal(standardize_all([weight], BIT, kernels)[0], WAYS[way]([weight], BIT)[0])


@every_way
def test_the_gradient_of_a_sum_vanishes(way):
    """Standardized filters sum to 0, whatever the weights: rounding is all that is left."""
    need(way)
    weight = leaf(weights((6, 8, 3, 3)))
    WAYS[way]([weight], BIT)[0].sum().backward()
    assert weight.grad.abs().max() < 1e-5 / weight.detach().std(dim=(1, 2, 3)).min()


def test_the_plain_formula_is_the_released_one():
    """big_transfer, bit_pytorch/models.py:29-30, as it is written there."""
    w = torch.from_numpy(weights((16, 16, 3, 3)))
    v, m = torch.var_mean(w, dim=[1, 2, 3], keepdim=True, unbiased=False)
    torch.testing.assert_close(standardize(w, 1e-10), (w - m) / torch.sqrt(v + 1e-10), rtol=1e-6, atol=1e-6)
