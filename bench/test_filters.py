"""All filters of a network standardized, there and back, against the bytes that must move."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bench.harness.passes import waiting
from bench.harness.roofline import copying
from bench.harness.workloads import of_filters
from fairtrial.kernels.standardization import BIT, WAYS, ways_on
from fairtrial.models.resnet import create_model

FLOOR = "floor"  # a copy that reads and writes as many bytes


@pytest.mark.parametrize("model", ["r50x1", "mini"])
def test_filters_against_the_floor(benchmark, race, device, model):
    """times: multiples of a copy of five times the bytes of the filters, way by way."""
    benchmark.group = f"filters of {model}, forward and backward, float32"
    weights = [
        conv.weight.detach().to(device).requires_grad_() for conv in create_model(model, 10).bank.convs
    ]
    work = of_filters(weights)
    ways = ways_on(torch.device(device))
    subjects = {FLOOR: copying(work.bytes_moved, device)} | {
        way: there_and_back(way, weights) for way in ways
    }
    race(subjects, ways[-1], calls=1 if model == "r50x1" else 20, work=work)


def there_and_back(way: str, weights: list[Tensor]) -> Callable[[], None]:
    """A call that makes all filters, and turns gradients of all filters into those of the weights."""
    gradients = [torch.ones_like(weight) for weight in weights]

    def call() -> None:
        torch.autograd.grad(WAYS[way](weights, BIT), weights, gradients)

    return waiting(call, weights[0].device)
