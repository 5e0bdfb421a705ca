"""What a training step costs in seconds, measured arm by arm, interleaved; and what evaluations cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import torch

from fairtrial.execution.cell.cell_function import CellRun, own_function
from fairtrial.execution.cell.prepare import build_model, build_task, dataset_of
from fairtrial.execution.cell.run_cell import ExecutionContext, tuned
from fairtrial.execution.step_times import LONG_S, WARM_UP, timed_steps
from fairtrial.execution.suspension import CLOCK
from fairtrial.study.budget import Budget
from fairtrial.study.recipes import recipe_of, rule_of
from fairtrial.study.settings import Settings
from fairtrial.study.study import Cell
from fairtrial.training.loop import evaluate, fit
from fairtrial.training.precision import precision
from fairtrial.training.timing import ledger_of

LOOK_IMAGES: Final = 500  # of one timed evaluation


def calibrate(
    arms: list[Settings], specs: list[str], context: ExecutionContext, rounds: int
) -> Iterator[tuple[int, float]]:
    """(arm index, seconds per step) of each launch: rounds over all arms, interleaved.

    A launch builds the network anew, warms up, then times as many steps as fill step_times.LAUNCH_S.
    """
    longest = [0.0] * len(arms)
    for _ in range(rounds):
        for index, (settings, spec) in enumerate(zip(arms, specs, strict=True)):
            if longest[index] <= LONG_S:
                seconds, steps = _launch(settings, spec, context)
                longest[index] = max(longest[index], seconds / steps)
                yield index, seconds / steps


def looks(arms: list[Settings], specs: list[str], context: ExecutionContext) -> list[dict[str, float]]:
    """Of each arm: seconds of evaluating one image, classes, training and test images of its data.

    Training images are looked at: the test stays sealed. Own training code says nothing of its evaluations
    before it ran: an empty table.
    """
    return [_looks(settings, spec, context) for settings, spec in zip(arms, specs, strict=True)]


def _looks(settings: Settings, spec: str, context: ExecutionContext) -> dict[str, float]:
    if own_function(settings):
        return {}
    device = torch.device(context.device)
    dataset = dataset_of(spec, settings.resolution, context.download)
    task, _, _ = build_task(settings, dataset, 0, 0, device)
    model = build_model(settings, dataset.num_classes, 0, 0).to(device)

    def seconds(count: int) -> float:
        images, labels = dataset.train_images[:count].to(device), dataset.train_labels[:count].to(device)
        ledger = ledger_of(device, CLOCK.stalled_s)
        with precision(settings.precision, device), ledger.book("eval"):
            evaluate(model, images, labels, task.view, task.eval_batch)
        return ledger.seconds["eval"]

    train_n = len(dataset.train_labels)
    first = seconds(LOOK_IMAGES)  # the first one allocates
    image_s = (first if first > LONG_S else seconds(LOOK_IMAGES)) / min(LOOK_IMAGES, train_n)
    return {
        "image_s": image_s,
        "classes": dataset.num_classes,
        "train_n": train_n,
        "test_n": len(dataset.test_labels),
    }


def _launch(settings: Settings, spec: str, context: ExecutionContext) -> tuple[float, int]:
    """(seconds, steps) of one launch; neither loads weights: the time of a step does not depend on them."""
    device = torch.device(context.device)
    if function := own_function(settings):

        def own_seconds(steps: int) -> float:
            ledger = ledger_of(device, CLOCK.stalled_s)
            cell = Cell(
                "", {}, settings, Budget(steps=steps), 0, 0, spec, settings.upstream, settings.indices
            )
            function(CellRun(cell, context, ledger))
            return ledger.seconds["train"]

        return _timed(own_seconds)
    dataset = dataset_of(spec, settings.resolution, context.download)
    task, subset, _ = build_task(settings, dataset, 0, 0, device)
    model = build_model(settings, dataset.num_classes, 0, 0).to(device)
    rule = rule_of(settings, len(subset.train), settings.resolution)
    recipe = replace(recipe_of(settings, rule), lr=0.0)
    with precision(settings.precision, device):
        network, batches, mode = tuned(model, task, subset, settings, settings.starts_from_checkpoint)

        def seconds(steps: int) -> float:
            ledger = ledger_of(device, CLOCK.stalled_s)
            fit(network, batches, recipe, steps, ledger, validate=False, mode=mode)
            return ledger.seconds["train"]

        return _timed(seconds)


def _timed(seconds: Callable[[int], float]) -> tuple[float, int]:
    """(seconds, steps) of a launch. seconds: of so many steps."""
    step_s = seconds(1)  # the first one allocates
    if step_s > LONG_S:
        return seconds(1), 1
    step_s = seconds(WARM_UP) / WARM_UP
    steps = timed_steps(step_s)
    return seconds(steps), steps
