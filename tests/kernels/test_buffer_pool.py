"""Memory that is used again by the next pass, and never by two passes at once."""

from __future__ import annotations

import copy
import gc
import pickle

import pytest
import torch
from torch import Tensor

from fairtrial.kernels.buffer_pool import BufferPool, is_dense
from fairtrial.models.resnet import ResNetV2
from tests.support.filters import need
from tests.support.networks import gap, gradients, images, network


@pytest.fixture
def model() -> ResNetV2:
    need("compiled")
    return network()


def loss_of(model: ResNetV2, seed: int = 0) -> Tensor:
    out = model(images(seed=seed))
    return (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum()


def place(model: ResNetV2) -> int:
    """Where the filters of one pass lie; nothing is kept of it."""
    found = []
    hook = model.root.conv.register_forward_hook(lambda conv, *_: found.append(conv.made.data_ptr()))
    model(images())
    hook.remove()
    return found[0]


def expected_of(model: ResNetV2, *seeds: int) -> dict[str, Tensor]:
    """The sum of the gradients of some passes, each after the other."""
    model.zero_grad()
    for seed in seeds:
        loss_of(model, seed).backward()
    found = gradients(model)
    model.zero_grad()
    return found


def test_two_passes_before_two_backwards_have_memory_of_their_own(model):
    expected = expected_of(model, 1, 2)
    for order in ((0, 1), (1, 0)):
        losses = [loss_of(model, seed) for seed in (1, 2)]
        for number in order:
            losses[number].backward()
        assert gap(gradients(model), expected) < 1e-5
        model.zero_grad()


def test_two_passes_in_one_loss_are_right(model):
    expected = expected_of(model, 1, 2)
    (loss_of(model, 1) + loss_of(model, 2)).backward()
    assert gap(gradients(model), expected) < 1e-5


def test_a_second_backward_right_away_is_right(model):
    expected = expected_of(model, 1, 1)
    loss = loss_of(model, 1)
    loss.backward(retain_graph=True)
    loss.backward()
    assert gap(gradients(model), expected) < 1e-5


@pytest.mark.parametrize("quiet", [torch.enable_grad, torch.no_grad])
def test_a_second_backward_after_the_memory_was_lent_again_is_refused(model, quiet):
    loss = loss_of(model, 1)
    loss.backward(retain_graph=True)
    with quiet():
        other = loss_of(model, 2)
    with pytest.raises(RuntimeError, match="modified"):
        loss.backward()
    if quiet is torch.enable_grad:
        expected = expected_of(model, 2)
        other.backward()
        assert gap(gradients(model), expected) < 1e-5


def test_a_pass_without_gradients_does_not_touch_the_memory_of_one_with(model):
    expected = expected_of(model, 1)
    loss = loss_of(model, 1)
    for quiet in (torch.no_grad, torch.inference_mode):
        with quiet():
            loss_of(model, 2)
    loss.backward()
    assert gap(gradients(model), expected) < 1e-5


def test_training_goes_on_after_inference_mode(model):
    expected = expected_of(model, 1)
    with torch.inference_mode():
        loss_of(model, 2)
    loss_of(model, 1).backward()
    assert gap(gradients(model), expected) < 1e-5


def test_one_gradient_of_many_may_be_asked_for(model):
    expected = expected_of(model, 1)
    loss = loss_of(model, 1)
    (grad,) = torch.autograd.grad(loss, model.root.conv.weight)
    torch.testing.assert_close(grad, expected["root.conv.weight"], rtol=1e-5, atol=1e-5)


def test_passes_that_are_dropped_give_their_memory_back_at_once(model):
    """Without the garbage collector: a ring through autograd would hold all of it until that runs."""
    gc.collect()
    gc.disable()
    try:
        assert len({place(model) for _ in range(20)}) == 1
    finally:
        gc.enable()


def test_a_training_step_takes_the_memory_of_the_one_before(model):
    places = set()
    for _ in range(5):
        places.add(place(model))
        loss_of(model).backward()
    assert len(places) == 1


def like(*shapes: tuple[int, ...]) -> list[Tensor]:
    return [torch.empty(shape) for shape in shapes]


def test_what_is_lent_has_the_shapes_and_layouts_that_were_asked_for_and_does_not_overlap():
    wanted = [
        *like((3, 5, 3, 3), (1, 1, 1, 1), (4, 2, 1, 1)),
        torch.empty(3, 5, 3, 3).to(memory_format=torch.channels_last),
    ]
    loan, lent = BufferPool().lend(wanted)
    assert [each.shape for each in lent] == [each.shape for each in wanted]
    assert [each.stride() for each in lent] == [each.stride() for each in wanted]
    assert all(each.data_ptr() % 64 == 0 for each in lent)
    for number, each in enumerate(lent):
        each.fill_(number)
    assert [each.unique().tolist() for each in lent] == [[0], [1], [2], [3]]
    loan.end()


def test_a_loan_that_ends_twice_gives_back_once():
    pool = BufferPool()
    loan, (first,) = pool.lend(like((4, 4, 1, 1)))
    loan.end()
    other, (second,) = pool.lend(like((4, 4, 1, 1)))
    loan.end()
    third, (another,) = pool.lend(like((4, 4, 1, 1)))
    assert first.data_ptr() == second.data_ptr() != another.data_ptr()
    del other, third


def test_a_network_that_changed_its_size_takes_other_memory():
    pool = BufferPool()
    pool.lend(like((4, 4, 1, 1)))
    _loan, (larger,) = pool.lend(like((8, 40, 3, 3)))
    assert larger.fill_(1).sum() == larger.numel()


def test_a_pool_keeps_one_block():
    pool = BufferPool()
    loans = [pool.lend(like((4, 4, 1, 1)))[0] for _ in range(3)]
    for loan in loans:
        loan.end()
    assert len(pool._spare) == 1


@pytest.mark.parametrize("how", [copy.deepcopy, lambda pool: pickle.loads(pickle.dumps(pool))])
def test_a_copy_of_a_pool_is_empty(how):
    pool = BufferPool()
    pool.lend(like((4, 4, 1, 1)))
    assert pool._spare and not how(pool)._spare


def test_a_weight_is_dense_when_its_filters_follow_each_other():
    weight = torch.empty(6, 4, 3, 3)
    assert (
        is_dense(weight) and is_dense(weight.to(memory_format=torch.channels_last)) and is_dense(weight[1:])
    )
    assert not any(is_dense(w) for w in (weight[:, 1:], weight.transpose(0, 1), weight[::2], weight[..., 1:]))
