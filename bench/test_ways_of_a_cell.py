"""Evaluation and a step of mini as a cell runs by default, and in channels-last with fused kernels.

With one thread, as cells run: FAIRTRIAL_BENCH_THREADS=1 python -m bench -k ways_of_a_cell
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch

from bench.harness.bare import bare_convolutions, bare_evaluation
from bench.harness.machine import THREADS
from bench.harness.passes import LAYOUTS
from bench.test_train_step import training_step
from fairtrial.models.resnet import ResNetV2, create_model, init_weights
from fairtrial.training.batches import EVAL_BATCH, FUSED_EVAL_BATCH
from fairtrial.training.loop import evaluate

ARMS = {"bn": ("bn", False), "gn+ws": ("gn", True)}
WAYS = {  # layout, kernels, images of a batch in evaluation; the first is the default
    "nchw fastest": ("nchw", "fastest", EVAL_BATCH),
    "nhwc fastest": ("nhwc", "fastest", EVAL_BATCH),
    "nhwc fused": ("nhwc", "fused", FUSED_EVAL_BATCH),
}
IMAGES, SIDE, BATCH = 1000, 32, 32
HOW = f"float32, {THREADS} thread{'s' if THREADS != 1 else ''}"  # cells run with one


def network(arm: str, layout: str, kernels: str) -> ResNetV2:
    """The network of one arm as a cell has it."""
    model = create_model("mini", 10, *ARMS[arm], kernels=kernels)
    init_weights(model, lambda _: np.random.default_rng(0))
    return model.to(memory_format=LAYOUTS[layout])


@pytest.mark.parametrize("arm", ARMS)
def test_evaluation_of_a_cell(benchmark, race, arm):
    """times: multiples of the default's; the aim is 0.5.

    bare: the convolutions alone, in channels-last.
    """
    benchmark.group = f"evaluation of mini as in a cell, {IMAGES} images, {SIDE} px, {arm}, {HOW}"
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (IMAGES, 3, SIDE, SIDE), dtype=torch.uint8, generator=draw)
    labels = torch.arange(IMAGES) % 10

    def call(layout: str, kernels: str, most: int) -> Callable[[], object]:
        return partial(evaluate, network(arm, layout, kernels), images, labels, most=most)

    calls = {name: call(*way) for name, way in WAYS.items()}
    last = torch.channels_last
    calls["bare"] = bare_evaluation("mini", IMAGES, FUSED_EVAL_BATCH, SIDE, memory_format=last)
    race(calls, "nhwc fused", warm_up=1)


@pytest.mark.parametrize("arm", ARMS)
def test_training_step_of_a_cell(benchmark, race, arm):
    """times: multiples of the default's, with augmentation and update; the aim is 0.8.

    bare: the convolutions alone, in channels-last.
    """
    benchmark.group = f"training step of mini as in a cell, batch {BATCH}, {SIDE} px, {arm}, {HOW}"
    steps = {name: training_step(arm, BATCH, SIDE, *way[:2]) for name, way in WAYS.items()}
    steps["bare"] = bare_convolutions("mini", BATCH, SIDE, memory_format=torch.channels_last)
    race(steps, "nhwc fused", warm_up=1)
