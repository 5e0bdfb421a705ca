"""The rule that sets the optimizer of every arm: one learning rate in proportion to the batch, cosine to zero."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

BASE_BATCH: Final = 64  # images; the setting `lr` is the learning rate at this batch
MOMENTUM: Final = 0.9  # as BiT fine-tunes (BiT 3.3)


@dataclass(frozen=True)
class Recipe:
    """How one cell is optimized: SGD with momentum; every field holds for the whole cell."""

    batch_size: int
    micro_batch: int | None
    lr: float  # peak
    warmup: float  # fraction of the budget
    weight_decay: float
    mixup: float  # alpha; 0 is off
    momentum: float = MOMENTUM

    def lr_at(self, fraction: float) -> float:
        """The learning rate when this fraction of the budget is spent, in [0, 1).

        A function of the fraction alone, so a shorter budget runs the whole schedule: linear from 0 during
        `warmup`, then half a cosine down to 0 (Loshchilov and Hutter 2017, eq. 5, without restarts).
        """
        if fraction < self.warmup:
            return self.lr * fraction / self.warmup
        return self.lr * (1 + math.cos(math.pi * (fraction - self.warmup) / (1 - self.warmup))) / 2


def own(settings: dict[str, Any]) -> Recipe:
    """The recipe of a cell from its settings; the rule is the same for all arms.

    lr = settings['lr'] x batch_size / 64: the linear scaling rule (Goyal et al. 2017, section 2.1), which BiT uses
    upstream as 0.03 x batch / 256 (BiT 3.2).
    """
    return Recipe(
        batch_size=settings["batch_size"],
        micro_batch=settings["micro_batch"],
        lr=settings["lr"] * settings["batch_size"] / BASE_BATCH,
        warmup=settings["warmup"],
        weight_decay=settings["weight_decay"],
        mixup=settings["mixup"],
    )
