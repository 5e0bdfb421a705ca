"""Fine-tuning of R50x1 on small images against the loop of the released code."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from bench.harness.passes import LAYOUTS
from bench.harness.reference_loop import reference_loop
from fairtrial.models.resnet import create_model
from fairtrial.study.recipes import Recipe
from fairtrial.training.batches import Order, Task
from fairtrial.training.loop import update
from fairtrial.training.optimizer import SGD

IMAGES, ALPHA = 512, 0.1


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_fine_tuning_against_the_released_loop(benchmark, ratio, layout):
    """extra_info['ratio']: images per second as a multiple of the reference's; the aim is 1.4, 2 threads."""
    benchmark.group = "fine-tuning r50x1, batch 32, 64 px, MixUp"
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, 32, 32, 3), dtype=np.uint8)
    plain = reference_loop("r50x1", images, 32, 64, ALPHA)
    ratio(plain, our_loop("r50x1", images, 32, 64, layout), rounds=15)


def our_loop(name: str, images: np.ndarray, batch_size: int, side: int, layout: str) -> Callable[[], None]:
    """The same update by our own loop: images on the device, all of them treated in the batch."""
    large = side * 5 // 4
    task = Task(
        images=torch.from_numpy(images.transpose(0, 3, 1, 2).copy()),
        labels=torch.arange(len(images)) % 10,
        val_images=torch.empty(0, 3, side, side),
        val_labels=torch.empty(0, dtype=torch.int64),
        num_classes=10,
        order=Order(np.arange(len(images)), 0),
        augment="crop-flip",
        pad=(large - side) // 2,
        replicate=0,
        resize=large,
    )
    recipe = Recipe(batch_size, None, lr=0.003, warmup=0.0, weight_decay=0.0, mixup=ALPHA)
    model = create_model(name, 10, "gn", True).train().to(memory_format=LAYOUTS[layout])
    optimizer = SGD(model.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=0.0)
    steps = iter(range(10**9))

    def step() -> None:
        update(model, optimizer, *task.batch(next(steps), batch_size, recipe.mixup), recipe)

    return step
