"""A whole training step, augmentation and optimizer included, against the network's bare convolutions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from bench.harness.bare import bare_convolutions
from bench.harness.passes import LAYOUTS
from fairtrial.kernels.dispatch import FASTEST, choose
from fairtrial.models.resnet import create_model
from fairtrial.study.recipes import Recipe
from fairtrial.training.batches import Order, Task
from fairtrial.training.loop import update
from fairtrial.training.optimizer import SGD

ARMS = {"bn": ("bn", False), "bn+ws": ("bn", True), "gn": ("gn", False), "gn+ws": ("gn", True)}
SHAPES = ((64, 32), (4, 16))  # batch, image side: bound by arithmetic, and by the number of calls
IMAGES, PAD = 2000, 4


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize(("batch_size", "side"), SHAPES)
def test_training_step_against_bare_convolutions(benchmark, ratio, batch_size, side, arm):
    """extra_info['ratio']: throughput as a share of the bare convolutions'; the aim is 0.6 at 64."""
    benchmark.group = f"training step of mini, batch {batch_size}, {side} px"
    ratio(bare_convolutions("mini", batch_size, side), training_step(arm, batch_size, side), rounds=15)


def training_step(
    arm: str, batch_size: int, side: int, layout: str = "nchw", kernels: str = FASTEST
) -> Callable[[], None]:
    """A call that draws, crops and flips a batch, and updates the network with it."""
    choose("cpu")  # as a worker does before its first cell
    rng = np.random.default_rng(0)
    padded_side = side + 2 * PAD
    task = Task(
        images=torch.from_numpy(rng.integers(0, 256, (IMAGES, 3, padded_side, padded_side), dtype=np.uint8)),
        labels=torch.arange(IMAGES) % 10,
        val_images=torch.empty(0, 3, side, side),
        val_labels=torch.empty(0, dtype=torch.int64),
        num_classes=10,
        order=Order(np.arange(IMAGES), 0),
        augment="crop-flip",
        pad=PAD,
        replicate=0,
    )
    recipe = Recipe(batch_size, None, lr=0.01, warmup=0.0, weight_decay=0.0, mixup=0.0)
    model = create_model("mini", 10, *ARMS[arm], kernels=kernels).train().to(memory_format=LAYOUTS[layout])
    optimizer = SGD(model.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=0.0)
    steps = iter(range(10**9))

    def step() -> None:
        update(model, optimizer, *task.batch(next(steps), batch_size, recipe.mixup), recipe)

    return step
