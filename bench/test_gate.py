"""What the regression gate watches: standardized convolutions, group normalization, a training step of mini.

A bench imports what it needs where it is built, so that one which fails fails alone.
The tensors of a bench fit a second-level cache: larger ones differ by 9 % from process to process.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from bench.harness.turns import Turns, connection_to_gate, repeated, seconds_of, slowed

ROUND_S = 0.003  # at least; a machine that others use changes its speed within tenths of a second
ROUNDS, ROUNDS_OF_STEP = 60, 40  # the shorter its rounds, the more of them


@pytest.fixture(scope="session")
def turns(threads: int, request: pytest.FixtureRequest) -> Turns:
    """The connection to the gate."""
    found = connection_to_gate()
    request.config.pluginmanager.register(found)
    return found


@pytest.fixture
def measured(benchmark, turns, request) -> Callable[..., None]:
    """measured(call, rounds, plant=False): rounds of the call, in turns with the gate's other process.

    The number of calls in a round is fixed before the first, and the same in both processes. plant: a planted
    slow-down hits this bench.
    """
    number, settings = request.session.items.index(request.node), turns.settings

    def measure(call: Callable[[], None], rounds: int = ROUNDS, plant: bool = False) -> None:
        if plant and settings.get("plant"):
            call = slowed(call, settings["plant"])
        turns.wait(place=[number, 0])
        calls = 1 + int(ROUND_S / seconds_of(call))
        calls = turns.wait(place=[number, 1], calls=calls)["calls"]
        steps = iter(range(4, 10**9))

        def setup() -> None:
            turns.wait(place=[number, next(steps)])
            if calls > 1:
                call()  # the other process had the caches

        benchmark.extra_info["calls"] = calls
        benchmark.pedantic(repeated(call, calls), setup=setup, rounds=settings.get("rounds") or rounds)

    return measure


@pytest.fixture
def device(turns) -> torch.device:
    """Where the tensors of a bench lie; they are drawn on the CPU, equal everywhere."""
    torch.manual_seed(0)
    return torch.device(turns.settings.get("device", "cpu"))


def forward_backward(
    layers: list[nn.Module], images: list[Tensor], device: torch.device
) -> Callable[[], None]:
    """A call that runs forward and backward of each layer once."""
    layers = [layer.to(device) for layer in layers]
    images = [x.to(device).requires_grad_() for x in images]
    upstream = [torch.ones_like(layer(x)) for layer, x in zip(layers, images, strict=True)]

    def call() -> None:
        for layer, x, gradient in zip(layers, images, upstream, strict=True):
            layer(x).backward(gradient)
            x.grad = None
            layer.zero_grad(set_to_none=True)
        synchronize(device)

    return call


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


# in, out, kernel, side of a feature map that is small, so that the filters weigh the most
STD_CONV = {
    "mini": ((16, 16, 3, 4), (32, 32, 3, 2), (32, 128, 1, 2), (64, 64, 3, 1)),
    "r50x1": ((64, 64, 3, 2), (64, 256, 1, 2)),  # of its first stage
}


@pytest.mark.parametrize("filters", STD_CONV)
def test_std_conv(measured, device, filters):
    from fairtrial.layers import StdConv2d

    shapes = STD_CONV[filters]
    layers = [
        StdConv2d(cin, cout, kernel, padding=kernel // 2, bias=False) for cin, cout, kernel, _ in shapes
    ]
    images = [torch.randn(1, cin, side, side) for cin, _, _, side in shapes]
    measured(forward_backward(layers, images, device), plant=True)


def test_group_norm(measured, device):
    from fairtrial.layers import NORMS

    layer = NORMS["gn"].build(64, groups=8)
    measured(forward_backward([layer], [torch.randn(4, 64, 8, 8)], device))


def test_step_of_mini(measured, device):
    from fairtrial.models.resnet import create_model

    model = create_model("mini", 10, "gn", True).train().to(device)
    images, labels = torch.rand(4, 3, 16, 16).to(device), torch.arange(4).to(device)

    def call() -> None:
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        model.zero_grad(set_to_none=True)
        synchronize(device)

    measured(call, ROUNDS_OF_STEP)
