"""Batch norm with its relu in C: the bits of torch's, or torch itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fairtrial.kernels import cpu_batch_norm
from fairtrial.kernels.dispatch import FUSED
from fairtrial.layers.batch_norm import BatchNorm2d
from fairtrial.models.resnet import create_model
from fairtrial.training.optimizer import SGD
from tests.support.filters import known_to_round_alike, need
from tests.support.networks import network

LAST = torch.channels_last
# images, channels, side: one to four vectors to a strip and rests of them, many rows, what is left to torch
SHAPES = [(3, 16, 5), (2, 48, 7), (2, 80, 3), (8, 64, 16), (2, 112, 4), (16, 256, 4), (5, 6, 5), (4, 32, 1)]
KINDS = ("drawn", "far from zero", "tiny", "no numbers")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    need("compiled")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    assert cpu_batch_norm.repeats_torch() or not known_to_round_alike()
    if not cpu_batch_norm.repeats_torch():
        pytest.skip("torch rounds otherwise here")
    yield
    torch.set_num_threads(before)


@pytest.fixture
def calls(monkeypatch) -> list[str]:
    """The functions of C that were called."""
    library, names = cpu_batch_norm.cpu.library(), []

    class Spy:
        def __getattr__(self, name: str) -> Callable:
            names.append(name)
            return getattr(library, name)

    monkeypatch.setattr(cpu_batch_norm.cpu, "library", Spy)
    return names


def maps(shape: tuple[int, int, int], seed: int, kind: str = "drawn") -> Tensor:
    images, channels, side = shape
    x = torch.randn(images, channels, side, side, generator=torch.Generator().manual_seed(seed))
    x = {"far from zero": x + 1000, "tiny": x * 1e-20}.get(kind, x)
    if kind == "no numbers":
        x[0, 0, 0, 0], x[0, 1, 0, 0], x[1, 2] = float("nan"), float("inf"), -0.0
    return x.contiguous(memory_format=LAST)


def layer_of(channels: int, kernels: str, **options: int) -> BatchNorm2d:
    layer = BatchNorm2d(channels, **options)
    layer.kernels = kernels
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(-0.5, 1.5, channels))
        layer.bias.copy_(torch.linspace(-1, 1, channels))
    return layer


def results(
    layer: BatchNorm2d, x: Tensor, relu: bool, goes_on: Callable[[Tensor], Tensor]
) -> dict[str, Tensor]:
    """Two steps in training, and an evaluation behind them."""
    for _ in range(2):
        x = x.detach().requires_grad_()
        y = layer(x, relu=relu)
        goes_on(y).backward()
    with torch.no_grad():
        evaluated = layer.eval()(x, relu=relu)
    given = {f"gradient of {name}": value.grad for name, value in layer.named_parameters()}
    return {"y": y.detach(), "dx": x.grad, "evaluated": evaluated, **dict(layer.named_buffers()), **given}


def summed(y: Tensor) -> Tensor:
    return (y * maps((y.shape[0], y.shape[1], y.shape[2]), seed=1)).sum()


def averaged(y: Tensor) -> Tensor:
    """As in the head: the gradient that comes back does not lie in channels-last."""
    return (y.mean((2, 3)) * torch.arange(y.shape[1])).sum()


def differing(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> list[str]:
    """The names of what differs in a bit, or lies otherwise in memory."""

    def bits(values: Tensor) -> Tensor:
        return values.view(torch.int32) if values.is_floating_point() else values

    return [
        name
        for name, value in theirs.items()
        if not torch.equal(bits(ours[name]), bits(value)) or ours[name].stride() != value.stride()
    ]


@pytest.mark.parametrize("goes_on", [summed, averaged])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_bit_is_that_of_torch(shape, kind, relu, goes_on, calls):
    x = maps(shape, 0, kind)
    ours, theirs = (results(layer_of(shape[1], kernels), x, relu, goes_on) for kernels in (FUSED, "torch"))
    assert differing(ours, theirs) == []
    ends = [] if shape in SHAPES[-2:] else ["batch_norm_forward", "batch_norm_evaluated"]
    assert sorted({*calls} - {"batch_norm_backward"}) == sorted(ends)
    assert ("batch_norm_backward" in calls) is (bool(ends) and (relu or goes_on is summed))


@pytest.mark.parametrize("momentum", [1.0, 1 / 3, 0.01])
def test_running_statistics_move_by_any_share(momentum):
    layers = [layer_of(48, kernels) for kernels in (FUSED, "torch")]
    with torch.no_grad():
        for layer in layers:
            layer.momentum = momentum
            for seed in range(5):
                layer(maps((3, 48, 5), seed))
    ours, theirs = (dict(layer.named_buffers()) for layer in layers)
    assert differing(ours, theirs) == []
    assert int(ours["num_batches_tracked"]) == 5


def test_ghost_batches_have_the_bits_of_torch(calls):
    layers = [layer_of(32, kernels, stat_batch=2) for kernels in (FUSED, "torch")]
    ours, theirs = (results(layer, maps((6, 32, 4), 0), True, summed) for layer in layers)
    assert differing(ours, theirs) == []
    assert calls.count("batch_norm_forward") == 2 * 3


def test_frozen_statistics_are_left_to_torch(calls):
    x, found = maps((3, 32, 5), 0), []
    for kernels in (FUSED, "torch"):
        layer = layer_of(32, kernels).eval()
        leaf = x.clone().requires_grad_()
        summed(layer(leaf, relu=True)).backward()
        found.append({"dx": leaf.grad, "weight": layer.weight.grad, "bias": layer.bias.grad})
    assert differing(*found) == []
    assert calls == []


@pytest.mark.parametrize("other", ["two threads", "NCHW", "float64", "kernels", "other bits"])
def test_what_c_would_compute_otherwise_is_left_to_torch(other, calls, monkeypatch):
    x = maps((2, 16, 4), 0)
    x = {"NCHW": x.contiguous(), "float64": x.double()}.get(other, x)
    layer = layer_of(16, "fastest" if other == "kernels" else FUSED).to(x.dtype)
    if other == "two threads":
        torch.set_num_threads(2)
    if other == "other bits":
        monkeypatch.setattr(cpu_batch_norm, "repeats_torch", lambda: False)
    layer(x, relu=True)
    with torch.no_grad():
        layer.eval()(x)
    assert calls == []


def test_a_library_with_other_bits_is_found(monkeypatch):
    """So that the trial can fail: one with another eps."""
    library = cpu_batch_norm.cpu.library()

    class Other:
        def __getattr__(self, name: str) -> Callable:
            return getattr(library, name)

        def batch_norm_evaluated(self, *given: int) -> None:
            library.batch_norm_evaluated(*given[:-2], 2e-5, given[-1])

    monkeypatch.setattr(cpu_batch_norm.cpu, "library", Other)
    cpu_batch_norm.repeats_torch.cache_clear()
    assert not cpu_batch_norm.repeats_torch()
    cpu_batch_norm.repeats_torch.cache_clear()


def test_a_network_trains_and_evaluates_to_the_same_bits(calls):
    """In channels-last, so that both have the same convolutions."""
    ends = []
    for kernels in (FUSED, "torch"):
        model = network(kernels, norm="bn", weight_std=False).to(memory_format=LAST).train()
        optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
        for seed in range(3):
            F.cross_entropy(model(maps((4, 3, 16), seed)), torch.arange(4)).backward()
            optimizer.step()
            optimizer.zero_grad()
        with torch.no_grad():
            logits = model.eval()(maps((4, 3, 16), 9))
        ends.append({"logits": logits, **model.state_dict()})
    assert differing(*ends) == []
    assert calls.count("batch_norm_forward") == calls.count("batch_norm_backward") == 3 * 19


def test_every_batch_norm_of_a_network_is_told_which_kernels():
    model = create_model("mini", 10, "bn", kernels=FUSED)
    assert [each.kernels for each in model.modules() if isinstance(each, BatchNorm2d)] == [FUSED] * 19
