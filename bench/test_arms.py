"""GN with standardized filters against BN: a step of R50x1, each in the better layout for its kernels."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial

import pytest

from bench.harness.interleave import interleaved
from bench.harness.passes import LAYOUTS, training_pass
from bench.harness.workloads import of_step
from fairtrial.kernels.dispatch import FASTEST, KERNELS
from fairtrial.models.resnet import ResNetV2, create_model

MODEL = "r50x1"
WORDS = {"fp32": "float32", "bf16": "bfloat16"}
PROBES = 3  # rounds in which the layouts of an arm are compared, before the race
CASES = [(32, 64, "fp32"), (8, 64, "fp32"), (64, 128, "bf16")]  # batch, image side, numbers


@pytest.mark.parametrize(("batch_size", "side", "numbers"), CASES)
def test_arms(benchmark, race, device, clock, batch_size, side, numbers):
    """times: multiples of the step with BN and plain convolutions."""
    if numbers == "bf16" and device.type == "cpu":
        pytest.skip("bf16 at 128 px is for GPUs; it takes minutes on a CPU")
    benchmark.group = f"arms of {MODEL}, batch {batch_size}, {side} px, {WORDS[numbers]}"

    def step(model: ResNetV2, layout: str) -> Callable[[], None]:
        form = LAYOUTS[layout]
        return training_pass(model, batch_size, side, device=device, memory_format=form, numbers=numbers)

    def better(model: Callable[[], ResNetV2]) -> str:
        steps = {name: step(model(), name) for name in LAYOUTS}
        found = interleaved(steps, PROBES if benchmark.enabled else 1, warm_up=benchmark.enabled, clock=clock)
        return min(found, key=lambda name: statistics.median(found[name]))

    models = {"bn": partial(create_model, MODEL, 10, "bn", False)}
    models |= {f"gn+ws {kernels}": partial(create_model, MODEL, 10, kernels=kernels) for kernels in KERNELS}
    layouts = {name: better(model) for name, model in models.items()}  # of no other subject's kernels
    subjects = {name: step(model(), layouts[name]) for name, model in models.items()}
    benchmark.extra_info.update(
        model=MODEL, batch_size=batch_size, side=side, numbers=numbers, layouts=layouts
    )
    work = of_step(models["bn"](), batch_size, side) if numbers == "fp32" else None  # counted in float32
    race(subjects, f"gn+ws {FASTEST}", warm_up=1, work=work)
