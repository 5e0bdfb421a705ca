"""The only training loop, and the evaluation that follows it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairtrial.errors import out_of_memory
from fairtrial.layers import made_once
from fairtrial.rng import stream
from fairtrial.study.recipes import Recipe
from fairtrial.training.augmentation import crop_flip, draws, mixup, normalize
from fairtrial.training.cuda_graph import Replay, replay_of
from fairtrial.training.optimizer import SGD
from fairtrial.training.timing import Ledger

CHECK_EVERY: Final = 25  # steps between looks at the loss; a look waits for the device
EVAL_BATCH: Final = 500  # images; evaluation does not depend on it
EVAL_PIXELS: Final = 500 * 64 * 64  # of one channel in a batch of evaluation
EVAL_LEAST: Final = 4  # images, however large
PADS: Final = {32: 4}  # pixels of zero padding by resolution; an eighth of it elsewhere
VAL_POINTS: Final = (0.25, 0.5, 0.75, 1.0)  # fractions of the budget at which validation images are looked at


View = Callable[[Tensor], Tensor]  # stored images -> what the network sees


class Order:
    """The stream of example ids: one permutation per epoch, epochs joined end to end, then chunked.

    The sequence is the same at every batch size; a batch may span two epochs, and no batch is ever short.
    """

    def __init__(self, ids: np.ndarray, replicate: int, prefix: str = "") -> None:
        self._ids, self._replicate, self._stream = ids, replicate, f"{prefix}order"
        self._epochs: dict[int, np.ndarray] = {}

    def batch(self, step: int, batch_size: int) -> list[tuple[int, np.ndarray]]:
        """(epoch, ids) of each run within batch number `step`; most batches have one run."""
        runs, position, end = [], step * batch_size, (step + 1) * batch_size
        while position < end:
            epoch, start = divmod(position, len(self._ids))
            ids = self._epoch(epoch)[start : start + end - position]
            runs.append((epoch, ids))
            position += len(ids)
        return runs

    def head(self, count: int) -> np.ndarray:
        """The first `count` ids; their digest goes into the cell's record."""
        return np.concatenate([ids for _, ids in self.batch(0, count)])

    def _epoch(self, epoch: int) -> np.ndarray:
        if epoch not in self._epochs:
            permutation = stream(self._stream, self._replicate, epoch).permutation(len(self._ids))
            self._epochs = {
                e: ids for e, ids in self._epochs.items() if e == epoch - 1
            }  # the batch may span two
            self._epochs[epoch] = self._ids[permutation]
        return self._epochs[epoch]


class Batches(Protocol):
    """What `fit` trains on: batches by number, and validation images with the way to look at them."""

    labels: Tensor
    val_images: Tensor
    val_labels: Tensor

    def batch(self, step: int, batch_size: int, alpha: float) -> tuple[Tensor, Tensor]:
        """Batch number `step`: what the network sees, and targets."""
        ...

    def view(self, images: Tensor) -> Tensor:
        """Stored images as the network sees them in evaluation."""
        ...


@dataclass
class Task:
    """Images and draws of one cell. images: padded (N, 3, H + 2 pad, W + 2 pad) uint8 on the device.

    resize: images are stored unpadded, resized to this square in the batch and cropped by `pad` on each side,
    as in BiT (160 -> 128 pixels). prefix: of the streams of chance, seeds.UPSTREAM during pre-training.
    """

    images: Tensor
    labels: Tensor  # (N,) int64
    val_images: Tensor  # (V, 3, H, W) uint8, carved from the training images
    val_labels: Tensor
    num_classes: int
    order: Order
    augment: str
    pad: int
    replicate: int
    prefix: str = ""
    resize: int | None = None
    _tables: dict = field(default_factory=dict)

    def batch(self, step: int, batch_size: int, alpha: float) -> tuple[Tensor, Tensor]:
        """Batch number `step`: (B, 3, H, W) float32 and targets, class ids or soft ones with MixUp."""
        runs = self.order.batch(step, batch_size)
        ids = np.concatenate([ids for _, ids in runs])
        rows = self._draws(*runs[0])
        for epoch, more in runs[1:]:
            rows = rows.followed_by(self._draws(epoch, more))
        index = torch.from_numpy(ids).to(self.labels.device)
        if self.resize is None:
            images = normalize(crop_flip(self.images, index, rows, self.pad))
        else:
            large = resized(normalize(self.images[index]), self.resize)
            images = crop_flip(large, torch.arange(len(ids)), rows, self.pad)
        key = (self.replicate, runs[0][0], step)
        return mixup(images, self.labels[index], alpha, key, self.num_classes, prefix=self.prefix)

    def view(self, images: Tensor) -> Tensor:
        """Stored images, unpadded, as the network sees them in evaluation: no crop, the size of a crop."""
        side = None if self.resize is None else self.resize - 2 * self.pad
        return normalize(images) if side is None else resized(normalize(images), side)

    def _draws(self, epoch: int, ids: np.ndarray):
        if epoch not in self._tables:
            self._tables = {e: table for e, table in self._tables.items() if e == epoch - 1}
            size = len(self.labels)
            self._tables[epoch] = draws(
                self.augment, self.replicate, epoch, size, self.pad, prefix=self.prefix
            )
        return self._tables[epoch].rows(ids)


def resized(images: Tensor, side: int) -> Tensor:
    """(B, C, H, W) float -> (B, C, side, side), bilinear as in BiT; smoothed first where images shrink."""
    return F.interpolate(images, size=(side, side), mode="bilinear", antialias=max(images.shape[2:]) > side)


def pad_of(resolution: int) -> int:
    """Pixels that a random crop may move an image each way: 4 at 32 px (He et al. 2016, section 4.2)."""
    return PADS.get(resolution, max(1, resolution // 8))


@dataclass(frozen=True)
class Outcome:
    """What training gave. val_curve: (step, accuracy, loss) at the fractions VAL_POINTS.

    micro_batch: images per forward pass at the end; None when no batch was split. eager: why a GPU launched
    every kernel by itself.
    """

    steps: int
    train_loss: float | None  # mean of the last tenth of the steps
    val_curve: tuple[tuple[int, float, float | None], ...]
    divergence_step: int | None  # the first step with a loss that is no finite number
    micro_batch: int | None = None
    eager: str | None = None


@dataclass(frozen=True)
class Score:
    """One evaluation. correct: (n,) bool, in the order of the images."""

    accuracy: float
    loss: float | None  # None when it is no finite number
    correct: np.ndarray


def fit(
    model: nn.Module,
    task: Batches,
    recipe: Recipe,
    steps: int,
    ledger: Ledger,
    *,
    validate: bool = True,
    mode: Callable[[nn.Module], object] = nn.Module.train,
) -> Outcome:
    """Train for `steps` optimizer updates; look at validation images at fixed fractions.

    mode: puts the network into training mode; parameters that take no gradient stay as they are.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = SGD(trained, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    losses = torch.zeros(steps, device=task.labels.device)
    looks = sorted({max(1, round(point * steps)) for point in VAL_POINTS})
    curve: list[tuple[int, float, float | None]] = []
    done = 0
    with ledger.book("load"):
        mode(model)
        replay, eager = _replay(model, task, recipe)
    for look in looks:
        with ledger.book("train"):
            mode(model)
            for step in range(done, look):
                optimizer.lr = recipe.lr_at(step / steps)
                batch = task.batch(step, recipe.batch_size, recipe.mixup)
                losses[step], recipe = _fitting(model, optimizer, batch, recipe, replay)
                if (step + 1) % CHECK_EVERY == 0 and not math.isfinite(losses[step]):
                    break
            done = step + 1
        if not math.isfinite(losses[done - 1]):
            return Outcome(done, None, tuple(curve), _first_bad(losses[:done]), recipe.micro_batch, eager)
        if validate and len(task.val_labels):
            with ledger.book("eval"):
                score = evaluate(model, task.val_images, task.val_labels, task.view)
            curve.append((done, score.accuracy, score.loss))
    loss = float(losses[-max(1, steps // 10) :].mean())
    return Outcome(done, loss, tuple(curve), None, recipe.micro_batch, eager)


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


def looks(images: Tensor, view: View) -> Iterator[Tensor]:
    """Stored images as the network sees them, in batches of so many pixels that memory holds them."""
    pixels = view(images[:1])[0, 0].numel()
    for part in images.split(max(EVAL_LEAST, min(EVAL_BATCH, EVAL_PIXELS // pixels))):
        yield view(part)


@torch.no_grad()
def evaluate(model: nn.Module, images: Tensor, labels: Tensor, view: View = normalize) -> Score:
    """Accuracy and mean cross entropy. images: (n, 3, H, W) uint8; labels: (n,) int64."""
    model.eval()
    hits, losses, done = [], [], 0
    with made_once(model):
        for x in looks(images, view):
            logits, y = model(x).float(), labels[done : done + len(x)]
            done += len(x)
            hits.append(logits.argmax(1) == y)
            losses.append(F.cross_entropy(logits, y, reduction="sum").double())
    correct = torch.cat(hits).cpu().numpy()
    loss = float(torch.stack(losses).sum()) / len(correct)
    return Score(float(correct.mean()), loss if math.isfinite(loss) else None, correct)


def weights_digest(model: nn.Module) -> str:
    """sha256 over names and values of all parameters and buffers."""
    total = hashlib.sha256()
    for name, value in model.state_dict().items():
        total.update(name.encode())
        total.update(value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def _first_bad(losses: Tensor) -> int:
    return int((~torch.isfinite(losses)).nonzero()[0])
