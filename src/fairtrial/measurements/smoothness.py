"""How smooth the loss is along a training, with and without weight standardization (F3.6).

A network whose layers are normalized does not see how large its filters are, so a slope of the gradient by
itself depends on the scale at which they started. All here is relative: a layer moves by a share of its own
norm, and its gradient counts times that norm. Neither changes when the filters of a layer are scaled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairtrial.data import Dataset
from fairtrial.models.resnet import create_model, init_weights
from fairtrial.rng import key, stream
from fairtrial.study.recipes import recipe_of
from fairtrial.study.settings import Settings
from fairtrial.training.augmentation import normalize
from fairtrial.training.batches import Order
from fairtrial.training.loop import update
from fairtrial.training.optimizer import SGD

ARMS: Final = tuple({"norm": norm, "weight_std": ws} for norm in ("bn", "gn") for ws in (False, True))
MODEL: Final = "mini"
SEEDS: Final = 5
BATCH, LR = 32, 0.1  # the rate at 64 images, as everywhere
# updates before a look; at the start a head of zeros passes nothing back
LOOKS: Final = (8, 32, 128)
RADII: Final = (0.025, 0.05, 0.1)  # of the norm of all filters, down the gradient
TURNS: Final = 20  # of the power iteration

Row = dict[str, float]


def measure(dataset: Dataset) -> dict[str, Any]:
    """Every arm from SEEDS starts, on the training images of a data set.

    -> {"model", "data", "data_sha256", "side", "batch", "lr", "looks", "radii", "arms": [levels, "runs"]}; a
    run is a row for each look, see `smoothness`. Starts and batches are equal in all arms.
    """
    arms = [{**arm, "runs": [along(arm, seed, dataset, LOOKS) for seed in range(SEEDS)]} for arm in ARMS]
    facts = {"model": MODEL, "data": dataset.name, "data_sha256": dataset.sha256, "batch": BATCH, "lr": LR}
    side = int(dataset.train_images.shape[-1])
    return {**facts, "side": side, "looks": list(LOOKS), "radii": list(RADII), "arms": arms}


def along(arm: dict[str, Any], seed: int, dataset: Dataset, looks: Sequence[int]) -> list[Row]:
    """Train one network; a row of `smoothness` on the next batch after each of these numbers of updates."""
    model = create_model(
        MODEL, dataset.num_classes, arm["norm"], arm["weight_std"],
        kernels="plain",  # those that can be derived twice
    )  # fmt: skip
    init_weights(model, lambda name: stream("init", seed, key(name)))
    model.train()
    recipe = recipe_of(Settings(batch_size=BATCH, lr=LR), None)
    optimizer = SGD(
        model.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    order = Order(np.arange(len(dataset.train_labels)), seed)
    rows = []
    for step in range(max(looks) + 1):
        chosen = torch.from_numpy(np.concatenate([ids for _, ids in order.batch(step, BATCH)]))
        x, y = normalize(dataset.train_images[chosen]), dataset.train_labels[chosen]
        if step in looks:
            rows.append({"step": step, **smoothness(model, x, y, seed)})
        update(model, optimizer, x, y, recipe)
    return rows


def smoothness(model: nn.Module, x: Tensor, y: Tensor, seed: int = 0) -> Row:
    """Look at the loss of one batch around a network in training mode, which stays as it is; in float64.

    loss; gradient: the norm of the relative gradient of the filters, g |w| layer by layer. gradient_change:
    the most that it changes over a step down the gradient of RADII, divided by the step (the effective
    smoothness of Santurkar et al., 2018). loss_range: highest minus lowest loss over these steps.
    top_eigenvalue: the largest one in magnitude of the Hessian in relative coordinates. seed: of the vector
    that its power iteration starts from.
    """
    around = _Around(model, x, y)
    loss, gradient = around.at([torch.zeros_like(norm) for norm in around.norms])
    size = _norm(gradient)
    down = [-part / size for part in gradient]
    changes, losses = [], [loss]
    for radius in RADII:
        there, turned = around.at([radius * part for part in down])
        changes.append(_norm([a - b for a, b in zip(turned, gradient, strict=True)]) / radius)
        losses.append(there)
    return {
        "loss": loss,
        "gradient": size,
        "gradient_change": max(changes),
        "loss_range": max(losses) - min(losses),
        "top_eigenvalue": around.top_eigenvalue(seed),
    }


class _Around:
    """The loss of one batch as a function of a relative change of the filters."""

    def __init__(self, model: nn.Module, x: Tensor, y: Tensor) -> None:
        self.model, self.x, self.y = deepcopy(model).double(), x.double(), y
        named = {name: each for name, each in self.model.named_parameters() if each.dim() == 4}
        self.names, self.filters = list(named), list(named.values())
        self.start = [each.detach().clone() for each in self.filters]
        self.norms = [each.norm() for each in self.start]

    def at(self, change: Sequence[Tensor]) -> tuple[float, list[Tensor]]:
        """Return the loss and the relative gradient at w + change * |w|, layer by layer."""
        with torch.no_grad():
            for each, start, part, norm in zip(self.filters, self.start, change, self.norms, strict=True):
                each.copy_(start + part * norm)
        loss = F.cross_entropy(self.model(self.x), self.y)
        slopes = torch.autograd.grad(loss, self.filters)
        return loss.item(), [slope * norm for slope, norm in zip(slopes, self.norms, strict=True)]

    def top_eigenvalue(self, seed: int) -> float:
        """Return the Rayleigh quotient after TURNS turns of a power iteration with exact products."""
        changes = [torch.zeros_like(each, requires_grad=True) for each in self.start]
        moved = {
            name: start + change * norm
            for name, start, change, norm in zip(self.names, self.start, changes, self.norms, strict=True)
        }
        scores = torch.func.functional_call(self.model, moved, (self.x,))
        gradient = torch.autograd.grad(F.cross_entropy(scores, self.y), changes, create_graph=True)
        draws, value = stream("eval", seed), math.nan
        vector = [torch.from_numpy(draws.standard_normal(each.shape)) for each in self.start]
        for _ in range(TURNS):
            size = _norm(vector)
            vector = [part / size for part in vector]
            turned = torch.autograd.grad(gradient, changes, grad_outputs=vector, retain_graph=True)
            value = sum((a * b).sum().item() for a, b in zip(vector, turned, strict=True))
            vector = list(turned)
        return value


def _norm(parts: Sequence[Tensor]) -> float:
    return math.sqrt(sum(part.square().sum().item() for part in parts))
