"""Which layout of memory suits which norm: a training step of mini, every norm in both."""

from __future__ import annotations

import pytest

from bench.harness.passes import LAYOUTS, training_pass
from bench.harness.workloads import of_step
from fairtrial.layers import NORMS
from fairtrial.models.resnet import create_model

MODEL, SIDE = "mini", 32


@pytest.mark.parametrize("batch_size", [32, 4])
def test_layouts(benchmark, race, device, batch_size):
    """times: multiples of bn in nchw; plain convolutions everywhere, so that the norms alone differ."""
    benchmark.group = f"layouts of {MODEL}, batch {batch_size}, {SIDE} px, float32"
    benchmark.extra_info.update(model=MODEL, batch_size=batch_size, side=SIDE)
    reference = create_model(MODEL, 10, "bn", False)
    work = of_step(reference, batch_size, SIDE)
    steps = {
        f"{norm} {layout}": training_pass(
            create_model(MODEL, 10, norm, False),
            batch_size,
            SIDE,
            device=device,
            memory_format=LAYOUTS[layout],
        )
        for norm in NORMS
        for layout in LAYOUTS
    }
    race(steps, "gn nchw", warm_up=1, work=work)
