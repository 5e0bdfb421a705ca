"""The interface of training code: what a cell function is given, and what it gives back.

The cell in the box (run_cell.py) is one such function; `Study(cell="my_train.py:run")` names another. A
function trains for so many steps and returns how to score images. Its caller opens the test split, once.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fairtrial.data import Dataset, Sealed, Subset
from fairtrial.execution.cell.own_state import OwnState
from fairtrial.execution.cell.prepare import build_subset, dataset_of, train_labels
from fairtrial.execution.cell.resume import Keeper, Resumable, Steps, Telling, keeper_of, with_drawn
from fairtrial.models.resnet import ResNetV2
from fairtrial.norm_table import named_by
from fairtrial.plugins.plugin import module_of
from fairtrial.rng import STREAMS, prefix, replicate_key, state, stream
from fairtrial.study.settings import CELL, Settings
from fairtrial.study.study import Cell
from fairtrial.training.loop import EVAL_BATCH, Outcome
from fairtrial.training.score import Score, scored
from fairtrial.training.timing import Ledger

Predict = Callable[[Tensor], Any]  # (n, 3, H, W) uint8 -> (n, classes) scores of the classes


@dataclass(frozen=True)
class ExecutionContext:
    """Where a cell runs: what may differ between machines without changing the cell's identity.

    results: folders in which a study that pre-trained may lie; the first that has it counts. weights_sha256:
    of the file that recorded cells of this arm started from. keep: the file for what is trained, in a study
    that pre-trains. way: layout and kernels that calibration chose, in place of the declared ones.
    checkpoints: where the cell keeps its own; None: nowhere. tell: takes what the cell is at, in words.
    """

    device: str = "cpu"
    download: bool = False
    results: tuple[str, ...] = ()
    weights_sha256: str | None = None
    keep: Path | None = None
    way: Mapping[str, Any] = field(default_factory=dict)
    checkpoints: Resumable | None = None
    tell: Callable[[str], object] = str


@dataclass
class CellRun:
    """One cell, as its training code sees it: settings, images, named streams of chance, steps and a ledger.

    step_s: calibrated seconds of one step, for a budget in seconds. done: steps that were taken.
    """

    cell: Cell
    context: ExecutionContext
    ledger: Ledger
    step_s: float | None = None
    done: int = 0
    stepping: bool = field(default=False, init=False)
    _keeper: Keeper | Steps | None = field(default=None, init=False)
    _watch: Telling | None = field(default=None, init=False)

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting of the arm by name: those of the table, and the study's own factors."""
        return self.cell.settings.record()

    @property
    def device(self) -> torch.device:
        """Where to compute."""
        return torch.device(self.context.device)

    @cached_property
    def dataset(self) -> Dataset:
        """The images that the settings name."""
        return dataset_of(self.cell.data, self.cell.settings.resolution, self.context.download)

    @cached_property
    def subset(self) -> Subset:
        """The training and validation images of this seed, the same in every arm."""
        return build_subset(self.cell.settings, self.dataset, self.cell.seed, self.cell.indices)

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return self.dataset.num_classes

    @property
    def train(self) -> tuple[Tensor, Tensor]:
        """Training images, (n, 3, H, W) uint8, and their classes, (n,) int64, on the device."""
        images, _ = self._images(self.subset.train)
        told = train_labels(self.cell.settings, self.dataset, self.cell.seed)
        return images, told[torch.from_numpy(self.subset.train)].to(self.device)

    @property
    def validation(self) -> tuple[Tensor, Tensor]:
        """Images set aside from training, for decisions during it; n is 0 without val_per_class."""
        return self._images(self.subset.val)

    def _images(self, ids: np.ndarray) -> tuple[Tensor, Tensor]:
        chosen, data = torch.from_numpy(ids), self.dataset
        return data.train_images[chosen].to(self.device), data.train_labels[chosen].to(self.device)

    def stream(self, name: str, *words: int) -> np.random.Generator:
        """Return a stream of chance of this seed, equal in all arms: "init", "order", "augment", "mixup".

        words: such as the epoch; 0 where they are left out.
        """
        return self._handed(name, words, stream(*self._named(name, words)))

    def generator(self, name: str, *words: int) -> torch.Generator:
        """Return the same as a generator of torch, on the CPU."""
        seed = _number(*state(*self._named(name, words)))
        return self._handed(name, words, torch.Generator().manual_seed(seed))

    def _handed(self, name: str, words: tuple[int, ...], draws: Any) -> Any:
        """What is taken amid the steps starts anew in each of them, so nobody need know where it stands."""
        return draws if self.stepping else self._own.handed(f"{name}{words}", draws)

    def _named(self, name: str, words: tuple[int, ...]) -> tuple[Any, ...]:
        missing = len(STREAMS.get(name, ())) - len(words)
        replicate = replicate_key(self.cell.seed, self.cell.replica)
        return (f"{prefix(self.cell.settings.stage)}{name}", replicate, *words, *(0,) * missing)

    def steps_for(self, batch_size: int, step_flops: float = 0) -> int:
        """Return how many updates the budget buys."""
        return self.cell.budget.steps_for(batch_size, step_flops=step_flops, step_seconds=self.step_s or 0.0)

    def steps(self) -> Iterator[int]:
        """Yield the number of each update that the budget buys; what is done meanwhile is training time.

        A cell that goes on from a state that was `saved` gets those that are left. A RuntimeError when it is
        asked for again: the budget buys these steps once.
        """
        if self.stepping:
            raise RuntimeError("the steps of a cell are taken once: cell.steps() was called before")
        self.stepping = True
        own, total = self._own, self.steps_for(self.cell.settings.batch_size)
        watch = self._watch or Telling(keeper_of(self.cell.id, None, self.ledger), self.context.tell, total)
        own.go_on()
        self.done = own.step
        with self.ledger.book("train"):
            for number in range(own.step, total):
                yield number
                self.done = own.step = number + 1
                watch.after_step(own)
                own.forget()

    def saved(self) -> dict[str, Any] | None:
        """Return the state that an attempt of this cell kept last, as it gave it; None where none did.

        To be asked before `steps`, which then goes on behind the step of that state.
        """
        if self.stepping:
            raise RuntimeError("cell.saved() belongs before the loop over cell.steps()")
        if self._watch is None:
            self._watch = self.watched(self.steps_for(self.cell.settings.batch_size), self.drawn)
            self._watch.begin(self._own)
        return self._own.taken

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep a state at the end of a step, as often as the cell in the box does; nothing in between.

        state: tensors, NumPy arrays, numbers, texts and None, in dicts, lists and tuples.
        """
        if self._watch is None:
            raise RuntimeError(
                "nobody would go on from what cell.save keeps: ask cell.saved() before the steps"
            )
        if not self.stepping:
            raise RuntimeError("cell.save belongs at the end of a step, in the loop over cell.steps()")
        self._own.give(state)

    @cached_property
    def _own(self) -> OwnState:
        return OwnState(self.device)

    @property
    def drawn(self) -> dict[str, Any]:
        """Digests of the images of this cell."""
        data = self.dataset
        return {"subset": self.subset.sha256, "data": data.sha256, "data_notes": list(data.notes)}

    def watched(self, steps: int, drawn: Mapping[str, Any]) -> Telling:
        """Return who keeps the state of this training, in the box as in own code, and tells its steps."""
        kept = with_drawn(self.context.checkpoints, cell=self.cell.id, steps=steps, drawn=drawn)
        self._keeper = keeper_of(self.cell.id, kept, self.ledger)
        return Telling(self._keeper, self.context.tell, steps)

    @property
    def carried_s(self) -> float:
        """Device seconds of the state that was gone on from; an earlier attempt has billed them."""
        return self._keeper.carried_s if self._keeper else 0.0

    @property
    def lines(self) -> Sequence[str]:
        """What a person should know of the states that were kept."""
        return self._keeper.lines if self._keeper else ()


@dataclass
class Trained:
    """What a cell function gives back. score: images, classes -> accuracy, loss, and each answer.

    test, val_n: the sealed test split, the number of validation images. outcome: of training; the last point
    of its curve is filled in where there is none. flops: counted, of the whole cell. model: what a study that
    pre-trains keeps. weights: their digest. lines: what a person should know.
    """

    score: Callable[[Tensor, Tensor], Score]
    outcome: Outcome
    test: Sealed
    val_n: int
    batch_size: int
    drawn: dict[str, Any]
    flops: int = 0
    parameters: int | None = None
    model: ResNetV2 | None = None
    weights: str | None = None
    lines: tuple[str, ...] = ()


CellFunction = Callable[[CellRun], Trained]


def own_function(settings: Settings) -> CellFunction | None:
    """Return the user's training code that an arm names; None for the one in the box."""
    if CELL not in settings.extra:
        return None
    sha256, _, function = settings.extra[CELL].partition(":")
    return partial(_run_own, named_by(f"{module_of(sha256)}:{function}"))


def _run_own(function: Callable[[CellRun], Any], run: CellRun) -> Trained:
    """Call the user's function; what is not in its steps is loading.

    The global generators start from the stream "init": code that draws from them is paired and repeats.
    """
    seed = _number(*state(*run._named("init", ())))
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 : it is the global one that a user's code may draw from
    random.seed(seed)
    with run.ledger.book("load"):
        predict = function(run)
    if not callable(predict):
        what = f"the training code returned {type(predict).__name__}; return a function: images -> scores"
        raise TypeError(what)
    score, data = partial(_score, predict, run.classes), run.dataset
    curve: tuple[tuple[int, float, float | None], ...] = ()
    if len(run.subset.val):
        with run.ledger.book("eval"):
            seen = score(*run.validation)
        curve = ((run.done, seen.accuracy, seen.loss),)
    return Trained(
        score=score,
        outcome=Outcome(run.done, None, curve, None),
        test=Sealed(data.test_images.to(run.device), data.test_labels.to(run.device)),
        val_n=len(run.subset.val),
        batch_size=run.cell.settings.batch_size,
        drawn=run.drawn,
    )


@torch.no_grad()
def _score(predict: Predict, classes: int, images: Tensor, labels: Tensor) -> Score:
    """What a function says of images, scored; a ValueError for another shape."""
    return scored((_said(predict, classes, part) for part in images.split(EVAL_BATCH)), labels)


def _said(predict: Predict, classes: int, images: Tensor) -> Tensor:
    scores = torch.as_tensor(predict(images), device=images.device)
    if tuple(scores.shape) != (len(images), classes) or not scores.is_floating_point():
        came = f"{tuple(scores.shape)} {scores.dtype}"
        code = getattr(predict, "__code__", None)
        where = f"{code.co_filename}:{code.co_firstlineno}: " if code else ""
        what = f"{came} for {len(images)} images; expected scores of {classes} classes for each"
        raise ValueError(where + what)
    return scores.float()


def _number(first: int, second: int) -> int:
    """One seed of the two words of a stream."""
    return (first << 32 | second) % 2**63
