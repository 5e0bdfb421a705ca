"""Calls that standardize many weights, pieces of others or none, with gradients of any layout in memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fairtrial.kernels.standardization import (
    BIT,
    DEFINITIONS,
    WAYS,
)
from tests.support.filters import (
    CLOSE,
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


@pytest.mark.parametrize("name", DEFINITIONS)
def test_more_values_than_the_caches_hold_are_right(name):
    """The stores that pass the caches: of filters that begin, and of some that do not, at 32 bytes."""
    shapes = [(1024, 512, 3, 3), (65, 33, 3, 3), (16, 3, 3, 3)]
    given = [weights(shape, seed) for seed, shape in enumerate(shapes)]
    upstream = [normal(shape, 9 + seed) for seed, shape in enumerate(shapes)]
    found = run(
        "compiled", [leaf(w) for w in given], [torch.from_numpy(g) for g in upstream], DEFINITIONS[name]
    )
    for weight, g, out, grad in zip(given, upstream, *found, strict=True):
        expected, expected_grad = oracle(weight, g, DEFINITIONS[name])
        close(out, expected, CLOSE)
        close(grad, expected_grad, CLOSE)


@every_way
def test_many_weights_in_one_call_are_as_each_alone(way):
    shapes = SHAPES * 6
    given = [leaf(weights(shape, seed), ("nchw", "nhwc")[seed % 2]) for seed, shape in enumerate(shapes)]
    upstream = [torch.from_numpy(normal(shape, seed)) for seed, shape in enumerate(shapes)]
    outs, grads = run(way, given, upstream, BIT)
    for weight, g, out, grad in zip(given, upstream, outs, grads, strict=True):
        (alone,), (its_grad,) = run(way, [weight.detach().clone().requires_grad_()], [g], BIT)
        assert torch.equal(out, alone) and torch.equal(grad, its_grad)
        assert out.shape == weight.shape


@every_way
def test_frozen_weights_have_no_gradient_and_the_others_their_own(way):
    given = [leaf(weights(shape)) for shape in SHAPES[:4]]
    for frozen in given[1::2]:
        frozen.requires_grad_(False)
    need(way)
    made = WAYS[way](given, BIT)
    sum((out * torch.from_numpy(normal(out.shape))).sum() for out in made).backward()
    assert [weight.grad is None for weight in given] == [False, True, False, True]
    for weight in given[::2]:
        close(weight.grad, oracle(weight.detach().numpy(), normal(weight.shape), BIT)[1], CLOSE)


@every_way
def test_filters_that_were_not_used_ask_for_no_gradient(way):
    need(way)
    used, unused = (leaf(weights((4, 3, 3, 3))) for _ in range(2))
    (WAYS[way]([unused, used], BIT)[1] ** 3).sum().backward()
    assert unused.grad is None and used.grad.any()


@every_way
@pytest.mark.parametrize("kind", ["expanded", "channels_last", "strided", "zero"])
def test_gradients_may_lie_in_memory_as_they_like(way, kind):
    shape = (6, 8, 3, 3)
    upstream = {
        "expanded": torch.from_numpy(normal((1, 8, 1, 1))).expand(shape),
        "channels_last": torch.from_numpy(normal(shape)).to(memory_format=torch.channels_last),
        "strided": torch.from_numpy(normal((6, 8, 3, 6)))[..., ::2],
        "zero": torch.zeros(()).expand(shape),
    }[kind]
    weight = weights(shape)
    _, (grad,) = run(way, [leaf(weight)], [upstream], BIT)
    close(grad, oracle(weight, upstream.numpy(), BIT)[1], CLOSE)


@every_way
def test_weights_and_gradients_of_the_caller_are_left_as_they_were(way):
    weight, upstream = leaf(weights((6, 8, 3, 3))), torch.from_numpy(normal((6, 8, 3, 3)))
    run(way, [weight], [upstream], BIT)
    assert np.array_equal(weight.detach().numpy(), weights((6, 8, 3, 3)))
    assert np.array_equal(upstream.numpy(), normal((6, 8, 3, 3)))


@every_way
@pytest.mark.parametrize(
    "cut", [lambda w: w[:, ::2], lambda w: w.transpose(0, 1), lambda w: w[1:], lambda w: w[..., 1:]]
)
def test_weights_may_be_pieces_of_others(way, cut):
    need(way)
    whole = leaf(weights((6, 8, 3, 3)))
    part = cut(whole)
    (out,) = WAYS[way]([part], BIT)
    (out * torch.from_numpy(normal(out.shape))).sum().backward()
    expected, grad = oracle(part.detach().numpy(), normal(part.shape), BIT)
    close(out.detach(), expected, CLOSE)
    close(cut(whole.grad), grad, CLOSE)


@every_way
@pytest.mark.parametrize("shape", [(0, 3, 3, 3), (4, 0, 3, 3), (4, 3, 0, 1)], ids=str)
@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
def test_empty_weights_give_empty_filters(way, shape):
    (out, more), (grad, _) = run(
        way, [leaf(np.empty(shape, np.float32)), leaf(weights((2, 3, 1, 1)))],
        [torch.empty(shape), torch.zeros(2, 3, 1, 1)], BIT,
    )  # fmt: skip
    assert out.shape == grad.shape == shape
    assert more.any()


def test_the_number_of_threads_changes_no_bit():
    shapes, before = [(64, 64, 3, 3), (33, 7, 3, 3), (1024, 512, 3, 3)], torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 2):
            torch.set_num_threads(threads)
            given = [leaf(weights(shape)) for shape in shapes]
            found.append(run("compiled", given, [torch.from_numpy(normal(shape)) for shape in shapes], BIT))
    finally:
        torch.set_num_threads(before)
    for outs, grads in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(outs + grads, found[0][0] + found[0][1], strict=True))


def test_a_second_derivative_of_the_compiled_kernels_is_refused():
    need("compiled")
    weight = leaf(weights((4, 3, 3, 3)))
    (out,) = WAYS["compiled"]([weight], BIT)
    (grad,) = torch.autograd.grad((out**3).sum(), weight, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()
