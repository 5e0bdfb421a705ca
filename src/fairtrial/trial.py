"""One cell, from its settings to its record: data, network, training, one look at the test split."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fairtrial.augment import padded
from fairtrial.budget import Budget, Ledger
from fairtrial.data import Dataset, Sealed, Subset, few_shot, open_dataset
from fairtrial.factors import ALL
from fairtrial.flops import flops_of_step
from fairtrial.recipe import own
from fairtrial.resnetv2 import ResNetV2, create_model, init_weights
from fairtrial.seeds import UPSTREAM, key, nuisance, stream
from fairtrial.train import Order, Outcome, Task, evaluate, fit, pad_of, weights_digest
from fairtrial.upstream import keep


@dataclass(frozen=True)
class Place:
    """Where a cell runs: what may differ between machines without changing the cell's identity."""

    device: str = "cpu"
    download: bool = False


def run_cell(
    settings: dict[str, Any],
    budget: Budget,
    seed: int,
    replica: int,
    spec: str,
    place: Place,
    step_s: float = 0,
    weights: Path | None = None,
) -> dict[str, Any]:
    """Train and score one cell -> status, spent, measured, drawn.

    spec: the data specification that opens settings['data'] here. step_s: calibrated seconds of one step, for
    budgets in seconds. weights: the file that keeps what was trained, in a study that pre-trains. A diverged
    cell is an outcome; running out of memory is raised to the caller.
    """
    device = torch.device(place.device)
    ledger = Ledger(synchronize=synchronizer(device))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with ledger.book("load"):
        dataset = dataset_of(spec, settings["resolution"], place.download)
        task, subset, test = build_task(settings, dataset, seed, replica, device)
        model = build_model(settings, dataset.num_classes, seed, replica).to(device)
    recipe = own(settings)
    drawn = {
        "subset": subset.sha256,
        "init": weights_digest(model),
        "order": hashlib.sha256(task.order.head(1024).astype("<i8").tobytes()).hexdigest(),
    }
    step_flops = flops_of_step(
        settings["model"], recipe.batch_size, settings["resolution"], dataset.num_classes
    )
    steps = budget.steps_for(recipe.batch_size, step_flops=step_flops, step_seconds=step_s)
    outcome = fit(model, task, recipe, steps, ledger)
    status, measured = _measure(model, outcome, test, ledger, dataset.num_classes)
    spent = {
        "steps": outcome.steps,
        "examples": outcome.steps * recipe.batch_size,
        "flops": outcome.steps * step_flops,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        **{f"{account}_s": round(seconds, 6) for account, seconds in ledger.seconds.items()},
        "lost_s": 0.0,
        "calibrated_step_s": step_s or None,
        "peak_memory_bytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
        "joules": None,  # no counter is read; never an estimate
    }
    measured["weights_sha256"] = weights_digest(model)
    if weights is not None and status == "done":
        measured["checkpoint"] = keep(model, dataset, weights, {"seed": seed, "val_acc": measured["val_acc"]})
    return {"status": status, "spent": spent, "measured": measured, "drawn": drawn | {"data": dataset.sha256}}


def _measure(
    model: nn.Module, outcome: Outcome, test: Sealed, ledger: Ledger, classes: int
) -> tuple[str, dict[str, Any]]:
    measured: dict[str, Any] = {
        "classes": classes,
        "train_loss": outcome.train_loss,
        "val_curve": [list(point) for point in outcome.val_curve],
        "val_acc": outcome.val_curve[-1][1] if outcome.val_curve else None,
        "divergence_step": outcome.divergence_step,
    }
    status = "diverged"
    score = None
    if outcome.divergence_step is None:
        with ledger.book("eval"):
            score = evaluate(model, *test.open())
        status = "done" if score.loss is not None else "diverged"
    measured |= {
        "test_acc": score.accuracy if score and status == "done" else None,
        "test_loss": score.loss if score else None,
        "test_n": len(score.correct) if score else None,
        "test_reads": test.reads,
        "correct": base64.b64encode(np.packbits(score.correct).tobytes()).decode() if score else None,
    }
    return status, measured


@cache
def dataset_of(spec: str, resolution: int, download: bool) -> Dataset:
    """The images, opened once per process."""
    return open_dataset(spec, resolution=resolution, download=download)


def build_task(
    settings: dict[str, Any], dataset: Dataset, seed: int, replica: int, device: torch.device
) -> tuple[Task, Subset, Sealed]:
    """The training and validation images of one cell, its few-shot subset, and the sealed test split."""
    shots = None if settings["shots"] == ALL else settings["shots"]
    subset = few_shot(
        dataset.train_labels.numpy(),
        shots,
        seed,
        val_per_class=settings["val_per_class"],
        num_classes=dataset.num_classes,
        classes=dataset.classes,
        prefix=prefix_of(settings),
    )
    val = torch.from_numpy(subset.val)
    pad = pad_of(settings["resolution"])
    task = Task(
        images=_padded(dataset, pad, device),
        labels=dataset.train_labels.to(device),
        val_images=dataset.train_images[val].to(device),
        val_labels=dataset.train_labels[val].to(device),
        num_classes=dataset.num_classes,
        order=Order(subset.train, nuisance(seed, replica), prefix_of(settings)),
        augment=settings["augment"],
        pad=pad,
        replicate=nuisance(seed, replica),
        prefix=prefix_of(settings),
    )
    return task, subset, Sealed(dataset.test_images.to(device), dataset.test_labels.to(device))


def build_model(settings: dict[str, Any], classes: int, seed: int, replica: int) -> ResNetV2:
    """The network of one cell; parameters of one name and shape start equal in all arms."""
    stat_batch = (
        settings["stat_batch"] if settings["norm"] == "bn" else None
    )  # other norms see one image at a time
    model = create_model(
        settings["model"], classes, settings["norm"], settings["weight_std"], stat_batch=stat_batch
    )
    replicate, purpose = nuisance(seed, replica), f"{prefix_of(settings)}init"
    init_weights(model, lambda name: stream(purpose, replicate, key(name)))
    if settings["layout"] == "nhwc":  # the first filter turns what passes through it
        model = model.to(memory_format=torch.channels_last)
    return model


def prefix_of(settings: dict[str, Any]) -> str:
    """The prefix of a cell's streams of chance: pre-training draws from streams of its own."""
    return UPSTREAM if settings["stage"] == "upstream" else ""


@cache
def _padded(dataset: Dataset, pad: int, device: torch.device) -> torch.Tensor:
    """The training images on the device, padded once per process."""
    return padded(dataset.train_images.to(device), pad)


def synchronizer(device: torch.device) -> Callable[[], None]:
    """Waits until the device has done what it was given, so that a reading of the clock means something."""
    return torch.cuda.synchronize if device.type == "cuda" else (lambda: None)
