"""One cell, from its settings to its record: data, network, training, one look at the test split."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fairtrial.augment import padded
from fairtrial.backbone_names import backbone
from fairtrial.backbones import create_backbone, init_backbone
from fairtrial.budget import Budget, Ledger
from fairtrial.data import Dataset, Sealed, Subset, few_shot, open_dataset
from fairtrial.factors import ALL
from fairtrial.flops import flops_of_features, flops_of_step
from fairtrial.precision import refuse_slow_bf16
from fairtrial.recipe import recipe_of, rule_of
from fairtrial.resnetv2 import ResNetV2, create_model, init_weights
from fairtrial.seeds import key, nuisance, prefix, stream
from fairtrial.train import Batches, Order, Outcome, Task, evaluate, fit, pad_of, weights_digest
from fairtrial.transfer import Features, Mode, Network, Probe, freeze, re_estimate
from fairtrial.upstream import keep, refuse_change, start


@dataclass(frozen=True)
class Place:
    """Where a cell runs: what may differ between machines without changing the cell's identity.

    results: folders in which a study that pre-trained may lie; the first that has it counts. weights_sha256:
    of the file that recorded cells of this arm started from. keep: the file for what is trained, in a study
    that pre-trains.
    """

    device: str = "cpu"
    download: bool = False
    results: tuple[str, ...] = ()
    weights_sha256: str | None = None
    keep: Path | None = None


def run_cell(cell: Mapping[str, Any], place: Place, step_s: float = 0) -> dict[str, Any]:
    """Train and score one cell -> status, spent, measured, drawn.

    cell: a `record.cell_message`. step_s: calibrated seconds of one step, for budgets in seconds. A diverged
    cell is an outcome; running out of memory is raised to the caller.
    """
    settings, seed, replica = cell["settings"], cell["seed"], cell["replica"]
    budget = Budget.parse(cell["budget"])
    device = torch.device(place.device)
    ledger = ledger_of(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with ledger.book("load"):
        dataset = dataset_of(cell["data"], settings["resolution"], place.download)
        task, subset, test = build_task(settings, dataset, seed, replica, device)
        model = build_model(settings, dataset.num_classes, seed, replica)
        begun = start(model, cell, dataset, results=place.results, download=place.download)
        if begun is not None:
            refuse_change(begun, place.weights_sha256)
        model = model.to(device)
    rule = rule_of(settings, len(subset.train), settings["resolution"])
    recipe = recipe_of(settings, rule)
    drawn: dict[str, Any] = {
        "subset": subset.sha256,
        "init": weights_digest(model),
        "order": hashlib.sha256(task.order.head(1024).astype("<i8").tobytes()).hexdigest(),
    }
    side = settings["resolution"] if rule is None else rule.crop
    size = (side, dataset.num_classes)
    tune = settings["tune"] if begun else "full"
    step_flops = flops_of_step(settings["model"], recipe.batch_size, *size, tune)
    steps = budget.steps_for(recipe.batch_size, step_flops=step_flops, step_seconds=step_s)
    with precision(settings, device):
        with ledger.book("train"):
            network, batches, mode = tuned(model, task, subset, settings, begun is not None)
        outcome = fit(network, batches, recipe, steps, ledger, mode=mode)
        status, measured = _measure(model, outcome, test, task, ledger, dataset.num_classes)
    once = flops_of_features(settings["model"], len(subset.train), *size) if tune == "probe" else 0
    spent = {
        "steps": outcome.steps,
        "examples": outcome.steps * recipe.batch_size,
        "flops": outcome.steps * step_flops + once,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        **{f"{account}_s": round(seconds, 6) for account, seconds in ledger.seconds.items()},
        "lost_s": 0.0,
        "calibrated_step_s": step_s or None,
        "peak_memory_bytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
        "joules": None,  # no counter is read; never an estimate
    }
    measured["weights_sha256"] = weights_digest(model)
    if place.keep is not None and status == "done" and isinstance(model, ResNetV2):
        facts = {"seed": seed, "val_acc": measured["val_acc"]}
        measured["checkpoint"] = keep(model, dataset, place.keep, facts)
    drawn |= {"data": dataset.sha256} | ({"upstream": begun} if begun else {})
    if rule is not None:
        drawn["rule"] = {"resize": rule.resize, "crop": rule.crop, "steps": rule.steps, "lr": rule.lr}
    if outcome.micro_batch != settings["micro_batch"]:
        drawn["micro_batch"] = outcome.micro_batch
    return {"status": status, "spent": spent, "measured": measured, "drawn": drawn}


def tuned(
    model: Network, task: Task, subset: Subset, settings: Mapping[str, Any], begun: bool
) -> tuple[nn.Module, Batches, Mode]:
    """(what is trained, on what, its training mode) of an arm; from scratch that is all of the network."""
    if not begun:
        return model, task, nn.Module.train
    if settings["bn_mode"] == "re-estimated":
        re_estimate(model, task, subset.train, settings["batch_size"])
    if settings["tune"] == "probe":
        return Probe(model), Features.of(model, task, subset.train), nn.Module.train
    return model, task, freeze(model, settings["tune"], settings["bn_mode"])


def precision(settings: Mapping[str, Any], device: torch.device) -> AbstractContextManager[object]:
    """In bf16, convolutions and matrix products run in it; weights, statistics and losses stay in fp32."""
    if settings["precision"] == "fp32":
        return nullcontext()
    refuse_slow_bf16(device)
    return torch.autocast(device.type, torch.bfloat16)


def _measure(
    model: nn.Module, outcome: Outcome, test: Sealed, task: Task, ledger: Ledger, classes: int
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
            score = evaluate(model, *test.open(), task.view)
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
        prefix=prefix(settings["stage"]),
    )
    val = torch.from_numpy(subset.val)
    rule = rule_of(settings, len(subset.train), settings["resolution"])
    pad = pad_of(settings["resolution"]) if rule is None else (rule.resize - rule.crop) // 2
    task = Task(
        images=_padded(dataset, pad if rule is None else 0, device),
        labels=dataset.train_labels.to(device),
        val_images=dataset.train_images[val].to(device),
        val_labels=dataset.train_labels[val].to(device),
        num_classes=dataset.num_classes,
        order=Order(subset.train, nuisance(seed, replica), prefix(settings["stage"])),
        augment=settings["augment"],
        pad=pad,
        replicate=nuisance(seed, replica),
        prefix=prefix(settings["stage"]),
        resize=None if rule is None else rule.resize,
    )
    return task, subset, Sealed(dataset.test_images.to(device), dataset.test_labels.to(device))


def build_model(settings: dict[str, Any], classes: int, seed: int, replica: int) -> Network:
    """The network of one cell; parameters of one name and shape start equal in all arms."""
    replicate, purpose = nuisance(seed, replica), f"{prefix(settings['stage'])}init"

    def draw(name: str) -> np.random.Generator:
        return stream(purpose, replicate, key(name))

    norm, stat_batch = settings["norm"], settings["stat_batch"]
    model: Network
    if backbone(settings["model"]):
        model = create_backbone(settings["model"], classes)
        init_backbone(model, draw)
    else:
        model = create_model(
            settings["model"], classes, norm, settings["weight_std"],
            stat_batch=stat_batch if norm == "bn" else None,  # other norms see one image at a time
        )  # fmt: skip
        init_weights(model, draw)
    if settings["layout"] == "nhwc":  # the first filter turns what passes through it
        model = model.to(memory_format=torch.channels_last)
    return model


@cache
def _padded(dataset: Dataset, pad: int, device: torch.device) -> torch.Tensor:
    """The training images on the device, padded once per process."""
    return padded(dataset.train_images.to(device), pad)


def ledger_of(device: torch.device) -> Ledger:
    """A ledger that reads this device's own clock."""
    return Ledger(now=device_clock(device)) if device.type == "cuda" else Ledger()


def device_clock(device: torch.device) -> Callable[[], float]:
    """Seconds on a GPU since now, by events: a reading waits until all that was queued before it is done."""
    begin = torch.cuda.Event(enable_timing=True)
    begin.record(torch.cuda.current_stream(device))

    def now() -> float:
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(device))
        event.synchronize()
        return begin.elapsed_time(event) / 1000

    return now
