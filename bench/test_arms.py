"""GN with standardized filters against BN: a training step of R50x1, each in its better layout."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import pytest
from passes import LAYOUTS, training_pass
from race import interleaved
from work import of_step

from fairtrial.layers.choice import FASTEST, KERNELS
from fairtrial.resnetv2 import ResNetV2, create_model

MODEL, SIDE = "r50x1", 64
PROBES = 3  # rounds in which the layouts of an arm are compared, before the race


@pytest.mark.parametrize("batch_size", [32, 8])
def test_arms(benchmark, race, device, clock, batch_size):
    """times: multiples of the step with BN and plain convolutions."""
    benchmark.group = f"arms of {MODEL}, batch {batch_size}, {SIDE} px, float32"

    def step(model: ResNetV2, layout: str) -> Callable[[], None]:
        return training_pass(model, batch_size, SIDE, device=device, memory_format=LAYOUTS[layout])

    def better(norm: str, weight_std: bool) -> str:
        steps = {name: step(create_model(MODEL, 10, norm, weight_std), name) for name in LAYOUTS}
        found = interleaved(steps, PROBES if benchmark.enabled else 1, warm_up=benchmark.enabled, clock=clock)
        return min(found, key=lambda name: statistics.median(found[name]))

    layouts = {"bn": better("bn", False), "gn+ws": better("gn", True)}
    reference = create_model(MODEL, 10, "bn", False)
    subjects = {"bn": step(reference, layouts["bn"])}
    for kernels in KERNELS:
        subjects[f"gn+ws {kernels}"] = step(create_model(MODEL, 10, kernels=kernels), layouts["gn+ws"])
    benchmark.extra_info.update(model=MODEL, batch_size=batch_size, side=SIDE, layouts=layouts)
    race(subjects, f"gn+ws {FASTEST}", warm_up=1, work=of_step(reference, batch_size, SIDE))
