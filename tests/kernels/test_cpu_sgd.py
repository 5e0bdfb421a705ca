"""The update of SGD in C: the bits of torch's operations, or those themselves."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from fairtrial.kernels import cpu_sgd, dispatch
from fairtrial.training.optimizer import SGD
from tests.support.filters import known_to_round_alike, need

LAST = torch.channels_last
SHAPES = [*((size,) for size in (*range(1, 40), 4099)), (16, 3, 3, 3), (8, 16, 1, 1), (5, 1, 3, 3)]


@pytest.fixture(autouse=True)
def tried() -> None:
    need("compiled")
    assert cpu_sgd.repeats_torch() or not known_to_round_alike()
    if not cpu_sgd.repeats_torch():
        pytest.skip("torch rounds otherwise here")


@pytest.fixture
def updates(monkeypatch) -> list[int]:
    """The number of weights in each call of C."""
    counts, by_c = [], cpu_sgd.by_c

    def counting(weights, *given):
        counts.append(len(weights))
        return by_c(weights, *given)

    monkeypatch.setattr("fairtrial.training.optimizer.by_c", counting)
    return counts


def drawn(seed: int, size: float = 1.0) -> list[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    tensors = [torch.randn(shape, generator=draw) * size for shape in SHAPES]
    return [each.contiguous(memory_format=LAST) if each.dim() == 4 else each for each in tensors]


def optimizer(own: bool, monkeypatch: pytest.MonkeyPatch, **rates: float) -> SGD:
    made = SGD([weight.requires_grad_() for weight in drawn(0)], **rates)
    with monkeypatch.context() as patch:
        if not own:
            patch.setattr(dispatch, "_chosen", {})
        assert (made._for_c is not None) is own
    return made


def step(sgd: SGD, number: int, gradients: list[Tensor] | None = None) -> None:
    sgd.lr = 0.1 / (1 + number) ** 1.3
    for weight, gradient in zip(
        sgd.parameters, gradients or drawn(number, 10.0 ** (number - 4)), strict=True
    ):
        weight.grad = gradient
    sgd.step()


def equal(one: SGD, other: SGD) -> bool:
    pairs = zip([*one.parameters, *one.velocity], [*other.parameters, *other.velocity], strict=True)
    return all(torch.equal(a.detach().view(torch.int32), b.detach().view(torch.int32)) for a, b in pairs)


@pytest.mark.parametrize(("momentum", "weight_decay"), list(product([0.9, 0.0], [0.0, 1e-4, 0.3])))
def test_every_bit_is_that_of_torch(momentum, weight_decay, updates, monkeypatch):
    ours, theirs = (
        optimizer(own, monkeypatch, lr=0.1, momentum=momentum, weight_decay=weight_decay)
        for own in (True, False)
    )
    for number in range(8):
        for sgd in (ours, theirs):
            step(sgd, number)
    assert equal(ours, theirs)
    assert updates == [len(SHAPES)] * 8


def test_no_number_stays_none(monkeypatch):
    ours, theirs = (
        optimizer(own, monkeypatch, lr=0.1, momentum=0.9, weight_decay=1e-4) for own in (True, False)
    )
    bad = drawn(1)
    bad[3][0], bad[4][1], bad[-1][0] = float("nan"), float("inf"), -0.0
    for sgd in (ours, theirs):
        step(sgd, 0, bad)
        step(sgd, 1)
    assert equal(ours, theirs)
    assert ours.parameters[3][0].isnan()


def test_gradients_that_lie_otherwise_are_left_to_torch(updates, monkeypatch):
    ours, theirs = (
        optimizer(own, monkeypatch, lr=0.1, momentum=0.9, weight_decay=1e-4) for own in (True, False)
    )
    for number in range(3):
        given = [each.contiguous() if number == 1 else each for each in drawn(number)]
        for sgd in (ours, theirs):
            step(sgd, number, given)
    assert equal(ours, theirs)
    assert updates == [len(SHAPES)] * 2


def test_autograd_sees_that_weights_have_changed(monkeypatch):
    sgd = optimizer(True, monkeypatch, lr=0.1, momentum=0.9, weight_decay=0.0)
    loss = sum((weight**2).sum() for weight in sgd.parameters)
    step(sgd, 0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("other", [torch.zeros(3).double(), torch.zeros(4, 4)[:, 1], "untried", "other bits"])
def test_what_c_cannot_update_is_left_to_torch(other, monkeypatch):
    if other == "untried":
        monkeypatch.setattr(dispatch, "_chosen", {})
    if other == "other bits":
        monkeypatch.setattr(cpu_sgd, "repeats_torch", lambda: False)
    weights = [torch.zeros(2), torch.zeros(3) if isinstance(other, str) else other]
    assert cpu_sgd.ForC.of(weights) is None


def test_a_function_with_other_bits_is_found(monkeypatch):
    """So that the trial can fail: one that rounds what torch does not."""
    monkeypatch.setattr(cpu_sgd, "by_c", lambda w, g, v, rates, lie: cpu_sgd.by_torch(
        w, g, v, rates._replace(momentum=rates.momentum + 1e-7)))  # fmt: skip
    assert not cpu_sgd.repeats_torch.__wrapped__()
