"""A training step with standardized filters against the same network with plain convolutions."""

from __future__ import annotations

import pytest

from bench.harness.passes import evaluation, training_pass
from bench.harness.workloads import of_evaluation, of_step
from fairtrial.kernels.dispatch import FASTEST, KERNELS
from fairtrial.models.resnet import ResNetV2, create_model

SIDES = {"r50x1": 64, "mini": 32}
STEPS = [  # model, images per forward, micro-batches per update
    ("r50x1", 8, 1),
    ("r50x1", 2, 1),
    ("r50x1", 2, 8),
    ("mini", 2, 1),
    ("mini", 4, 1),
    ("mini", 8, 1),
    ("mini", 16, 1),
    ("mini", 32, 1),
    ("mini", 64, 1),
]
EVALUATED = 2  # batches


def networks(model: str) -> dict[str, ResNetV2]:
    """The plain convolutions, then one network for each kind of kernels."""
    plain = create_model(model, 10, "gn", weight_std=False)
    return {"conv": plain} | {kernels: create_model(model, 10, "gn", kernels=kernels) for kernels in KERNELS}


@pytest.mark.parametrize(("model", "batch_size", "micro_batches"), STEPS)
def test_step(benchmark, race, device, model, batch_size, micro_batches):
    """times: multiples of the step with plain convolutions; forward, cross entropy, backward."""
    side, arms = SIDES[model], networks(model)
    split = f"{micro_batches} micro-batches of " if micro_batches > 1 else "batch "
    benchmark.group = f"step of {model}, {split}{batch_size}, {side} px, gn, float32"
    benchmark.extra_info.update(model=model, batch_size=batch_size, side=side, micro_batches=micro_batches)
    steps = {
        name: training_pass(arm, batch_size, side, micro_batches=micro_batches, device=device)
        for name, arm in arms.items()
    }
    race(steps, FASTEST, warm_up=1, work=of_step(arms["conv"], batch_size, side, micro_batches))


@pytest.mark.parametrize(("model", "batch_size"), [("r50x1", 32), ("mini", 64)])
def test_evaluation(benchmark, race, device, model, batch_size):
    """times: multiples of the same with plain convolutions; the filters are made once for all batches."""
    side, arms = SIDES[model], networks(model)
    benchmark.group = f"evaluation of {model}, {EVALUATED} batches of {batch_size}, {side} px, gn, float32"
    calls = {name: evaluation(arm, batch_size, side, EVALUATED, device=device) for name, arm in arms.items()}
    race(calls, FASTEST, warm_up=1, work=of_evaluation(arms["conv"], batch_size, side, EVALUATED))
