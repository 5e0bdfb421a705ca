"""What a training step costs in seconds, measured arm by arm, interleaved."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import torch

from fairtrial.budget import Ledger
from fairtrial.recipe import own
from fairtrial.train import fit
from fairtrial.trial import Place, build_model, build_task, dataset_of, synchronizer

LAUNCHES: Final = 5  # timed launches per arm; their mean counts, as a cell pays for the slow moments too
LAUNCH_S: Final = 1.0  # seconds that one timed launch aims at
WARM_UP: Final = 3  # steps of a launch that are not timed


def calibrate(arms: list[dict[str, Any]], specs: list[str], place: Place) -> Iterator[tuple[int, float]]:
    """(arm index, seconds per step) after each launch: LAUNCHES rounds over all arms, interleaved.

    A launch builds the network anew, warms up for WARM_UP steps, then times as many steps as fill LAUNCH_S.
    """
    measured: list[list[float]] = [[] for _ in arms]
    for _ in range(LAUNCHES):
        for index, (settings, spec) in enumerate(zip(arms, specs, strict=True)):
            measured[index].append(_launch(settings, spec, place))
            yield index, statistics.fmean(measured[index])


def _launch(settings: dict[str, Any], spec: str, place: Place) -> float:
    device = torch.device(place.device)
    dataset = dataset_of(spec, settings["resolution"], place.download)
    task, _, _ = build_task(settings, dataset, 0, 0, device)
    model = build_model(settings, dataset.num_classes, 0, 0).to(device)
    recipe = replace(own(settings), lr=0.0)  # the time of a step does not depend on what is learned
    warm = Ledger(synchronize=synchronizer(device))
    fit(model, task, recipe, WARM_UP, warm, validate=False)
    steps = min(2000, max(5, math.ceil(LAUNCH_S / (warm.seconds["train"] / WARM_UP))))
    timed = Ledger(synchronize=synchronizer(device))
    fit(model, task, recipe, steps, timed, validate=False)
    return timed.seconds["train"] / steps
