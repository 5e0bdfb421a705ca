"""The rules that set the optimizer of every arm: our own, and the BiT-HyperRule in its two versions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from fairtrial.study.settings import AUTO, Settings

BASE_BATCH: Final = 64  # images; the setting `lr` is the learning rate at this batch
MOMENTUM: Final = 0.9  # as BiT fine-tunes (BiT 3.3)


@dataclass(frozen=True)
class Stairs:
    """A learning rate that falls to a tenth at some of `steps` steps, after a linear warm-up from 0."""

    steps: int
    drops: tuple[int, ...]
    warmup: int = 0
    late: bool = False  # the step of a drop still has the old rate: the released code tests `drop < step`

    def factor(self, position: float) -> float:
        """The learning rate as a share of its peak, at a position in 0..steps."""
        if position < self.warmup:
            return position / self.warmup
        return 10.0 ** -sum(drop < position if self.late else drop <= position for drop in self.drops)


@dataclass(frozen=True)
class Recipe:
    """How one cell is optimized: SGD with momentum; every field holds for the whole cell.

    halves: whether the micro-batch is halved whenever memory runs out; None where nobody asked for that.
    """

    batch_size: int
    micro_batch: int | None
    lr: float  # peak
    warmup: float  # fraction of the budget
    weight_decay: float
    mixup: float  # alpha; 0 is off
    momentum: float = MOMENTUM
    stairs: Stairs | None = None  # in place of warm-up and cosine
    halves: bool | None = None

    def lr_at(self, fraction: float) -> float:
        """The learning rate when this fraction of the budget is spent, in [0, 1).

        A function of the fraction alone, so a shorter budget runs the whole schedule: linear from 0 during
        `warmup`, then half a cosine down to 0 (Loshchilov and Hutter 2017, eq. 5, without restarts).
        """
        if self.stairs:  # step / steps is rounded; a drop is at a whole step of the rule
            return self.lr * self.stairs.factor(round(fraction * self.stairs.steps, 9))
        if fraction < self.warmup:
            return self.lr * fraction / self.warmup
        return self.lr * (1 + math.cos(math.pi * (fraction - self.warmup) / (1 - self.warmup))) / 2


def own(settings: Settings) -> Recipe:
    """The recipe of a cell from its settings; the rule is the same for all arms.

    lr = settings.lr x batch_size / 64: the linear scaling rule (Goyal et al. 2017, section 2.1), which BiT
    uses upstream as 0.03 x batch / 256 (BiT 3.2).
    """
    return Recipe(
        batch_size=settings.batch_size,
        **_split(settings),
        lr=settings.lr * settings.batch_size / BASE_BATCH,
        warmup=settings.warmup,
        weight_decay=settings.weight_decay,
        mixup=settings.mixup,
    )


def _split(settings: Settings) -> dict[str, Any]:
    """How a batch is split; where images mix, a smaller micro-batch would be another network."""
    if settings.micro_batch != AUTO:
        return {"micro_batch": settings.micro_batch}
    return {"micro_batch": None, "halves": not settings.norm_row.mixes_batch or settings.bn_split}


VARIANTS: Final = {  # images per update and peak learning rate
    "paper": (512, 0.003),  # BiT 3.3
    "code": (512, 0.003),  # bit_hyperrule.py of google-research/big_transfer
    "code-light": (128, 0.001),  # its README, for the CIFAR results
}
MIXUP: Final = 0.1  # alpha, from 20 000 images on (BiT 3.3)
SMALL_AREA: Final = 96 * 96  # pixels; below this an image counts as small (BiT 3.3)


@dataclass(frozen=True)
class TaskSize:
    """A row of the rule, for fewer than `below` training images; warm-up and drops are those of the code."""

    below: float
    steps: int
    warmup: int
    drops: tuple[int, int, int]


TASK_SIZES: Final = (
    TaskSize(20_000, 500, 100, (200, 300, 400)),  # 40, 60 and 80 %; the paper says 30, 60 and 90
    TaskSize(500_000, 10_000, 500, (3_000, 6_000, 9_000)),
    TaskSize(math.inf, 20_000, 500, (6_000, 12_000, 18_000)),
)


@dataclass(frozen=True)
class HyperRule:
    """What the BiT-HyperRule says of one task. Images are resized to a square, then cropped."""

    variant: str
    resize: int  # pixels a side
    crop: int
    steps: int
    batch_size: int
    lr: float
    mixup: float  # alpha that the rule takes; here MixUp is a factor of its own, so this is advice
    stairs: Stairs
    momentum: float = MOMENTUM
    weight_decay: float = 0.0
    head: str = "zero"  # as in weights.load_bit

    def lr_at(self, step: int, steps: int | None = None) -> float:
        """The learning rate of step 0, 1, ...; another number of steps stretches the schedule."""
        return self.lr * self.stairs.factor(step * self.steps / (steps or self.steps))

    def recipe(self, *, mixup: float, micro_batch: int | None = None, halves: bool | None = None) -> Recipe:
        """The same for the training loop, with what the rule leaves open."""
        return Recipe(
            batch_size=self.batch_size,
            micro_batch=micro_batch,
            halves=halves,
            lr=self.lr,
            warmup=0.0,
            weight_decay=self.weight_decay,
            mixup=mixup,
            momentum=self.momentum,
            stairs=self.stairs,
        )


def hyperrule(
    train_size: int,
    image_size: int | tuple[int, int],
    *,
    variant: str = "paper",
    big_model: bool = False,
    batch_size: int | None = None,
    lr: float | None = None,
) -> HyperRule:
    """The BiT-HyperRule: from the number of training images and their size to resolution and schedule.

    image_size: of the images as they come, a side or (height, width). big_model: R152x4, which the paper
    gives 480 pixels; the code gives them to all. batch_size, lr: instead of the variant's; neither follows
    the other.
    """
    sides = (image_size, image_size) if isinstance(image_size, int) else image_size
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}; known: {', '.join(VARIANTS)}")
    if train_size < 1 or min(sides) < 1:
        raise ValueError(
            f"train_size={train_size}, image_size={image_size}; expected at least 1 image and 1 pixel"
        )
    task = next(task for task in TASK_SIZES if train_size < task.below)
    if sides[0] * sides[1] < SMALL_AREA:
        resize, crop = 160, 128
    elif variant == "paper" and not big_model:
        resize, crop = 448, 384
    else:
        resize, crop = 512, 480
    if variant == "paper":
        stairs = Stairs(task.steps, tuple(task.steps * tenths // 10 for tenths in (3, 6, 9)))
    else:
        stairs = Stairs(task.steps, task.drops, task.warmup, late=True)
    usual_batch, usual_lr = VARIANTS[variant]
    return HyperRule(
        variant=variant,
        resize=resize,
        crop=crop,
        steps=task.steps,
        batch_size=batch_size or usual_batch,
        lr=lr or usual_lr,
        mixup=0.0 if task is TASK_SIZES[0] else MIXUP,
        stairs=stairs,
    )


def rule_of(settings: Settings, train_size: int, image_size: int) -> HyperRule | None:
    """The hyperrule that an arm follows on so many images of this side; None for a recipe of our own.

    The number of images per update is the arm's, as a factor; the rule's learning rate does not follow it.
    """
    kind, _, variant = settings.recipe.partition("-")
    if kind != "hyperrule":
        return None
    big = settings.model == "r152x4"
    return hyperrule(train_size, image_size, variant=variant, big_model=big, batch_size=settings.batch_size)


def recipe_of(settings: Settings, rule: HyperRule | None) -> Recipe:
    """How an arm is optimized: by its own settings, or by the rule."""
    return own(settings) if rule is None else rule.recipe(mixup=settings.mixup, **_split(settings))
