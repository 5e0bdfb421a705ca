"""The only training loop, and the evaluation that follows it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, ClassVar, Final, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairtrial.errors import out_of_memory
from fairtrial.layers import made_once
from fairtrial.study.limits import VAL_POINTS
from fairtrial.study.recipes import Recipe
from fairtrial.training.augmentation import normalize
from fairtrial.training.batches import EVAL_BATCH, Batches, View
from fairtrial.training.cuda_graph import Replay, replay_of
from fairtrial.training.optimizer import SGD
from fairtrial.training.score import Score, scored
from fairtrial.training.timing import Ledger

CHECK_EVERY: Final = 25  # steps between looks at the loss; a look waits for the device
EVAL_PIXELS: Final = 500 * 64 * 64  # of one channel in a batch of evaluation
EVAL_LEAST: Final = 4  # images, however large


@dataclass(frozen=True)
class Outcome:
    """What training gave. val_curve: (step, accuracy, loss) at the fractions VAL_POINTS.

    train_curve: (step, mean loss of the batches since the point before) at the same steps, of images as they
    are trained on, augmented and mixed. micro_batch: images per forward pass at the end; None when no batch
    was split. eager: why a GPU launched every kernel by itself.
    """

    steps: int
    train_loss: float | None  # mean of the last tenth of the steps
    val_curve: tuple[tuple[int, float, float | None], ...]
    divergence_step: int | None  # the first step with a loss that is no finite number
    micro_batch: int | None = None
    eager: str | None = None
    train_curve: tuple[tuple[int, float], ...] = ()


@dataclass
class State:
    """All that the rest of a cell's training depends on, between two steps.

    Every draw is a function of the step and of the seed (rng.py), so no generator has a position to keep.
    losses: (steps,), of the steps so far. curve: as in Outcome. micro_batch: as memory made it.
    """

    model: nn.Module
    optimizer: SGD
    losses: Tensor
    micro_batch: int | None
    step: int = 0
    ready: ClassVar[bool] = True  # it may be kept after any step
    curve: list[tuple[int, float, float | None]] = field(default_factory=list)

    def arrays(self) -> dict[str, Tensor]:
        """Hand out the tensors by name: parameters and buffers, velocities, losses; no copies."""
        velocity = self.optimizer.velocity
        if velocity is None:
            velocity = [torch.zeros_like(parameter) for parameter in self.optimizer.parameters]
        model = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        moving = {f"velocity.{number}": value for number, value in enumerate(velocity)}
        return {**model, **moving, "losses": self.losses}

    def facts(self) -> dict[str, Any]:
        """Hand out the rest, as JSON."""
        return {"step": self.step, "curve": self.curve, "micro_batch": self.micro_batch}

    @torch.no_grad()
    def take(self, arrays: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Become the state that was handed out; a ValueError, and no change, where one does not fit."""
        own = self.arrays()
        other = own.keys() ^ arrays.keys()
        other |= {n for n in own.keys() & arrays.keys() if _kind(own[n]) != _kind(arrays[n])}
        if other or facts.keys() != self.facts().keys():
            raise ValueError(f"not the state of this network: {', '.join(sorted(other)[:3]) or 'its facts'}")
        curve = [(step, accuracy, loss) for step, accuracy, loss in facts["curve"]]
        for name, value in own.items():
            value.copy_(arrays[name])
        self.optimizer.velocity = [own[f"velocity.{n}"] for n in range(len(self.optimizer.parameters))]
        self.step, self.micro_batch, self.curve = facts["step"], facts["micro_batch"], curve


def _kind(tensor: Tensor) -> tuple[torch.Size, torch.dtype]:
    return tensor.shape, tensor.dtype


class Watch(Protocol):
    """Who may replace the state before the first step, and sees it after each."""

    def begin(self, state: State) -> None:
        """Let the state `take` that of an earlier attempt, if there is one."""
        ...

    def after_step(self, state: State) -> None:
        """Look at the state; it is handed out, not changed."""
        ...


def fit(
    model: nn.Module,
    task: Batches,
    recipe: Recipe,
    steps: int,
    ledger: Ledger,
    *,
    validate: bool = True,
    mode: Callable[[nn.Module], object] = nn.Module.train,
    watch: Watch | None = None,
) -> Outcome:
    """Train for `steps` optimizer updates; look at validation images at fixed fractions.

    mode: puts the network into training mode; parameters that take no gradient stay as they are.
    watch: sees the state of training, and may begin with that of an earlier attempt.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = SGD(trained, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    losses = torch.zeros(steps, device=task.labels.device)
    state = State(model, optimizer, losses, recipe.micro_batch)
    with ledger.book("load"):
        mode(model)
        if watch is not None:
            watch.begin(state)
            recipe = replace(recipe, micro_batch=state.micro_batch)
        replay, eager = _replay(model, task, recipe)
    looked = state.curve[-1][0] if state.curve else 0
    points = sorted({max(1, round(point * steps)) for point in VAL_POINTS})
    for point in points:
        if point <= looked:
            continue
        with ledger.book("train"):
            mode(model)
            recipe = _train(state, task, recipe, point, replay, watch)
        if not math.isfinite(losses[state.step - 1]):
            first = _first_bad(losses[: state.step])
            return Outcome(state.step, None, tuple(state.curve), first, recipe.micro_batch, eager)
        if validate and len(task.val_labels):
            with ledger.book("eval"):
                score = evaluate(model, task.val_images, task.val_labels, task.view, task.eval_batch)
            state.curve.append((state.step, score.accuracy, score.loss))
    loss = float(losses[-max(1, steps // 10) :].mean())
    means = tuple((to, float(losses[at:to].mean())) for at, to in pairwise([0, *points]))
    return Outcome(state.step, loss, tuple(state.curve), None, recipe.micro_batch, eager, means)


def _train(
    state: State, task: Batches, recipe: Recipe, end: int, replay: Replay | None, watch: Watch | None
) -> Recipe:
    """Train up to step `end`, or to a look at a loss that is no finite number -> the recipe as it is then."""
    steps = len(state.losses)
    for step in range(state.step, end):
        state.optimizer.lr = recipe.lr_at(step / steps)
        batch = task.batch(step, recipe.batch_size, recipe.mixup)
        state.losses[step], recipe = _fitting(state.model, state.optimizer, batch, recipe, replay)
        state.step = step + 1
        if (step + 1) % CHECK_EVERY == 0 and not math.isfinite(state.losses[step]):
            break
        if watch is not None:
            state.micro_batch = recipe.micro_batch
            watch.after_step(state)
    return recipe


def _replay(model: nn.Module, task: Batches, recipe: Recipe) -> tuple[Replay | None, str | None]:
    """The passes of a batch as a CUDA graph; None on a CPU, and with the reason where it cannot be had."""
    if not task.labels.is_cuda:
        return None, None
    batch = task.batch(0, recipe.batch_size, recipe.mixup)
    return replay_of(model, lambda x, y: passes(model, x, y, recipe), *batch)


def _fitting(
    model: nn.Module,
    optimizer: SGD,
    batch: tuple[Tensor, Tensor],
    recipe: Recipe,
    replay: Replay | None,
) -> tuple[Tensor, Recipe]:
    """(loss, recipe) of one update; the recipe's micro-batch is halved until memory holds it, if it may be.

    The tries before it change nothing: memory runs out in a forward or backward pass, before any update.
    """
    if replay is not None:
        loss = replay(*batch)
        optimizer.step()
        return loss, recipe
    while True:
        try:
            return update(model, optimizer, *batch, recipe), recipe
        except Exception as error:
            images = recipe.micro_batch or recipe.batch_size
            if recipe.halves is False and out_of_memory(error):
                what = f"memory does not hold a batch of {images} images, and smaller micro-batches would"
                what += " change BN's statistics: use a smaller batch, or bn_split to allow it"
                raise MemoryError(what) from error
            if not (recipe.halves and out_of_memory(error)) or images % 2:
                raise
            recipe = replace(recipe, micro_batch=images // 2)
        optimizer.zero_grad()
        if batch[0].is_cuda:
            torch.cuda.empty_cache()


def update(model: nn.Module, optimizer: SGD, x: Tensor, y: Tensor, recipe: Recipe) -> Tensor:
    """One optimizer update from one batch; the mean loss."""
    optimizer.zero_grad()
    loss = passes(model, x, y, recipe)
    optimizer.step()
    return loss


def passes(model: nn.Module, x: Tensor, y: Tensor, recipe: Recipe) -> Tensor:
    """Forward and backward of one batch, in micro-batches where the recipe says so; the mean loss.

    The micro-batches' gradients add up to that of the whole batch, exactly so where images do not mix.
    """
    if recipe.micro_batch is None or recipe.micro_batch >= len(x):
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss.detach()
    loss = x.new_zeros(())
    with made_once(model):
        for part, targets in zip(x.split(recipe.micro_batch), y.split(recipe.micro_batch), strict=True):
            share = F.cross_entropy(model(part), targets) * (len(part) / len(x))
            share.backward()
            loss += share.detach()
    return loss


def eval_batches(images: Tensor, view: View, most: int) -> Iterator[Tensor]:
    """Stored images as the network sees them, in batches of so many pixels that memory holds them.

    most: images in a batch. Results depend on it in their last digits.
    """
    pixels = view(images[:1])[0, 0].numel()
    for part in images.split(max(EVAL_LEAST, min(most, EVAL_PIXELS // pixels))):
        yield view(part)


@torch.no_grad()
def evaluate(
    model: nn.Module, images: Tensor, labels: Tensor, view: View = normalize, most: int = EVAL_BATCH
) -> Score:
    """Accuracy and mean cross entropy. images: (n, 3, H, W) uint8; labels: (n,) int64; most: of a batch."""
    model.eval()
    with made_once(model):
        return scored((model(x).float() for x in eval_batches(images, view, most)), labels)


def weights_digest(model: nn.Module) -> str:
    """sha256 over names and values of all parameters and buffers."""
    total = hashlib.sha256()
    for name, value in model.state_dict().items():
        total.update(name.encode())
        total.update(value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def _first_bad(losses: Tensor) -> int:
    return int((~torch.isfinite(losses)).nonzero()[0])
