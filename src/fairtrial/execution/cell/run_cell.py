"""One cell, from its settings to its record: data, network, training, one look at the test split."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from fairtrial.data import Dataset, Sealed, Subset
from fairtrial.execution.cell.cell_function import CellRun, ExecutionContext, Trained, own_function
from fairtrial.execution.cell.prepare import build_model, build_task, dataset_of
from fairtrial.execution.cell.resume import Resumable
from fairtrial.execution.cell.upstream_checkpoint import keep, refuse_change, start
from fairtrial.execution.suspension import CLOCK
from fairtrial.models.resnet import ResNetV2
from fairtrial.study.limits import majority
from fairtrial.study.recipes import HyperRule, recipe_of, rule_of
from fairtrial.study.settings import Settings
from fairtrial.study.study import Cell
from fairtrial.training.batches import Batches, Task
from fairtrial.training.finetuning import Features, Mode, Network, Probe, freeze, re_estimate
from fairtrial.training.flops import flops_of_features, flops_of_step
from fairtrial.training.loop import Outcome, evaluate, fit, weights_digest
from fairtrial.training.precision import precision
from fairtrial.training.timing import ledger_of

__all__ = ["ExecutionContext", "Resumable", "bit_cell", "dataset_of", "run_cell", "tuned"]


@dataclass
class PreparedCell:
    """A cell before its first step. begun: what its network starts from, None from scratch."""

    dataset: Dataset
    task: Task
    subset: Subset
    test: Sealed
    model: Network
    begun: dict[str, Any] | None
    rule: HyperRule | None

    @property
    def drawn(self) -> dict[str, Any]:
        """Digests of what was drawn, and what the settings came to here; before the first step."""
        order = self.task.order.head(1024).astype("<i8").tobytes()
        drawn: dict[str, Any] = {
            "subset": self.subset.sha256,
            "init": weights_digest(self.model),
            "order": hashlib.sha256(order).hexdigest(),
            "data": self.dataset.sha256,
            "data_notes": list(self.dataset.notes),
        }
        if self.begun:
            drawn["upstream"] = self.begun
        if rule := self.rule:
            drawn["rule"] = {"resize": rule.resize, "crop": rule.crop, "steps": rule.steps, "lr": rule.lr}
        return drawn


def run_cell(cell: Cell, context: ExecutionContext, step_s: float | None = None) -> dict[str, Any]:
    """Train and score one cell -> status, spent, measured, drawn; lines: what a person should know of it.

    step_s: calibrated seconds of one step, for a budget in seconds. A diverged
    cell is an outcome; running out of memory is raised to the caller.
    """
    settings, device = cell.settings, torch.device(context.device)
    stalled_s = CLOCK.stalled_s()
    run = CellRun(cell, context, ledger_of(device, CLOCK.stalled_s), step_s)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    context.tell("opening the data")
    trained = (own_function(settings) or bit_cell)(run)
    context.tell("testing")
    with precision(settings.precision, device):
        measure = _validated if settings.stage == "tuning" else _measure
        status, measured = measure(run, trained)
    measured["weights_sha256"] = trained.weights
    if context.keep is not None and status == "done" and trained.model is not None:
        facts = {"seed": cell.seed, "val_acc": measured["val_acc"]}
        measured["checkpoint"] = keep(trained.model, run.dataset, context.keep, facts)
    outcome, drawn = trained.outcome, trained.drawn
    if outcome.eager:
        drawn["eager"] = outcome.eager
    spent = {
        "steps": outcome.steps,
        "examples": outcome.steps * trained.batch_size,
        "flops": trained.flops,
        "parameters": trained.parameters,
        **{f"{account}_s": round(seconds, 6) for account, seconds in run.ledger.seconds.items()},
        "lost_s": 0.0,
        "stalled_s": round(CLOCK.stalled_s() - stalled_s, 6) or None,
        **({"carried_s": round(run.carried_s, 6)} if run.carried_s else {}),
        "calibrated_step_s": step_s,
        "peak_memory_bytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
    }
    lines = [*run.lines, *trained.lines]
    return {"status": status, "spent": spent, "measured": measured, "drawn": drawn, "lines": lines}


def bit_cell(run: CellRun) -> Trained:
    """The cell in the box: a network of fairtrial's, trained by its recipe on the images of its settings."""
    cell, context, ledger, settings = run.cell, run.context, run.ledger, run.cell.settings
    with ledger.book("load"):
        prepared = _prepare(cell, context, run.device)
    recipe, drawn = recipe_of(settings, prepared.rule), prepared.drawn | dict(context.way)
    price, task = Price.of(settings, prepared), prepared.task
    steps = run.steps_for(recipe.batch_size, price.step)
    with precision(settings.precision, run.device):
        with ledger.book("train"):
            network, batches, mode = tuned(
                prepared.model, task, prepared.subset, settings, bool(prepared.begun)
            )
        watch = run.watched(steps, drawn)
        outcome = fit(network, batches, recipe, steps, ledger, mode=mode, watch=watch)
    lines = []
    if outcome.micro_batch != settings.micro_batch:
        drawn["micro_batch"] = outcome.micro_batch
        if settings.norm_row.mixes_batch and outcome.micro_batch is not None:
            held = f"memory held micro-batches of {outcome.micro_batch} images, and so do BN's statistics"
            lines.append(f"warning: {held} (bn_split): no claim on batch sizes rests on this run")
    return Trained(
        score=lambda images, labels: evaluate(prepared.model, images, labels, task.view, task.eval_batch),
        outcome=outcome,
        test=prepared.test,
        val_n=len(task.val_labels),
        batch_size=recipe.batch_size,
        drawn=drawn,
        flops=price.once + outcome.steps * price.step,
        parameters=sum(parameter.numel() for parameter in prepared.model.parameters()),
        model=prepared.model if isinstance(prepared.model, ResNetV2) else None,
        weights=weights_digest(prepared.model),
        lines=tuple(lines),
    )


def look(cell: Cell, context: ExecutionContext) -> None:
    """Open the images and the initial weights of a cell; a Fault where they cannot be had."""
    if own_function(cell.settings):
        dataset_of(cell.data, cell.settings.resolution, context.download)
    else:
        _prepare(cell, context, torch.device(context.device))


def _prepare(cell: Cell, context: ExecutionContext, device: torch.device) -> PreparedCell:
    settings, seed, replica = replace(cell.settings, **context.way), cell.seed, cell.replica
    dataset = dataset_of(cell.data, settings.resolution, context.download)
    task, subset, test = build_task(settings, dataset, seed, replica, device, cell.indices)
    model = build_model(settings, dataset.num_classes, seed, replica)
    begun = start(model, cell, dataset, results=context.results, download=context.download)
    if begun is not None:
        refuse_change(begun, context.weights_sha256)
    rule = rule_of(settings, len(subset.train), settings.resolution)
    return PreparedCell(dataset, task, subset, test, model.to(device), begun, rule)


class Price(NamedTuple):
    """Counted operations of a cell: once, and in each step."""

    once: int
    step: int

    @classmethod
    def of(cls, settings: Settings, prepared: PreparedCell) -> Price:
        """What an arm costs by what it trains; from scratch that is all of the network."""
        finetune = settings.finetune if prepared.begun else "full"
        side = settings.resolution if prepared.rule is None else prepared.rule.crop
        model, classes, stride_on = settings.model, prepared.dataset.num_classes, settings.stride_on
        step = flops_of_step(model, settings.batch_size, side, classes, finetune, stride_on, settings.block)
        images = len(prepared.subset.train) if finetune == "linear_probe" else 0
        return cls(flops_of_features(model, images, side, classes, stride_on, settings.block), step)


def tuned(
    model: Network, task: Task, subset: Subset, settings: Settings, begun: bool
) -> tuple[nn.Module, Batches, Mode]:
    """(what is trained, on what, its training mode) of an arm; from scratch that is all of the network."""
    if not begun:
        return model, task, nn.Module.train
    if settings.bn_mode == "re-estimated":
        re_estimate(model, task, subset.train, settings.batch_size)
    if settings.finetune == "linear_probe":
        return Probe(model), Features.of(model, task, subset.train), nn.Module.train
    return model, task, freeze(model, settings.finetune, settings.bn_mode)


def _followed(run: CellRun, outcome: Outcome) -> dict[str, Any]:
    """What was measured while training."""
    return {
        "classes": run.classes,
        "train_loss": outcome.train_loss,
        "train_curve": [list(point) for point in outcome.train_curve] or None,
        "val_curve": [list(point) for point in outcome.val_curve],
        "val_acc": outcome.val_curve[-1][1] if outcome.val_curve else None,
        "divergence_step": outcome.divergence_step,
    }


def _validated(run: CellRun, trained: Trained) -> tuple[str, dict[str, Any]]:
    """The result of a tuning trial: its validation images have the last word, the test split stays sealed."""
    outcome = trained.outcome
    finite = outcome.divergence_step is None and all(loss is not None for *_, loss in outcome.val_curve)
    unread = dict.fromkeys(("test_acc", "test_loss", "test_n", "correct"))
    followed = _followed(run, outcome)
    if not finite and outcome.divergence_step is None:  # the loss of no batch said so yet
        followed["divergence_step"] = next(step for step, _, loss in outcome.val_curve if loss is None)
    return "done" if finite else "diverged", {
        **followed,
        **unread,
        "test_reads": trained.test.reads,
        "val_n": trained.val_n,
    }


def _measure(run: CellRun, trained: Trained) -> tuple[str, dict[str, Any]]:
    measured = _followed(run, trained.outcome)
    status = "diverged"
    score = None
    if trained.outcome.divergence_step is None:
        with run.ledger.book("eval"):
            images, labels = trained.test.open()
            score = trained.score(images, labels)
        status = "done" if score.loss is not None else "diverged"
        if status == "diverged":  # its test alone says so
            measured["divergence_step"] = trained.outcome.steps
        measured |= of_uneven_classes(score.correct, labels.cpu().numpy())
    measured |= {
        "test_acc": score.accuracy if score and status == "done" else None,
        "test_loss": score.loss if score else None,
        "test_ece": score.calibration if score and status == "done" else None,
        "test_n": len(score.correct) if score else None,
        "test_reads": trained.test.reads,
        "correct": base64.b64encode(np.packbits(score.correct).tobytes()).decode() if score else None,
    }
    return status, measured


def of_uneven_classes(correct: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return what a reader of the accuracy must know where classes are uneven; nothing where they are even.

    correct, labels: (n,), of the test images.
    """
    classes, counts = np.unique(labels, return_counts=True)
    largest = majority(counts.tolist())
    if largest is None:
        return {}
    recalls = [float(correct[labels == each].mean()) for each in classes]
    return {"majority": largest, "balanced_acc": sum(recalls) / len(recalls)}
