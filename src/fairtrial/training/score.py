"""What an evaluation found: how many answers are right, how likely they were, how calibrated."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

BINS: Final = 15  # of the confidence, as Guo et al. (2017) have them


@dataclass(frozen=True)
class Score:
    """One evaluation. correct: (n,) bool, in the order of the images. calibration: expected error."""

    accuracy: float
    loss: float | None  # None when it is no finite number
    correct: np.ndarray
    calibration: float | None = None


def scored(batches: Iterable[Tensor], labels: Tensor) -> Score:
    """Accuracy, mean cross entropy and calibration error of scores (n, classes) that come in batches.

    labels: (n,) int64, in their order. Loss and calibration are None where the loss is not finite.
    """
    hits, losses, sure, done = [], [], [], 0
    for logits in batches:
        y = labels[done : done + len(logits)]
        done += len(logits)
        hits.append(logits.argmax(1) == y)
        sure.append(logits.softmax(1).amax(1))
        losses.append(F.cross_entropy(logits, y, reduction="sum").double())
    correct = torch.cat(hits).cpu().numpy()
    loss = float(torch.stack(losses).sum()) / len(correct)
    if not math.isfinite(loss):
        return Score(float(correct.mean()), None, correct)
    return Score(
        float(correct.mean()), loss, correct, calibration_error(torch.cat(sure).cpu().numpy(), correct)
    )


def calibration_error(sure: np.ndarray, correct: np.ndarray) -> float:
    """Return the expected calibration error in 0..1 over BINS bins of equal width (Guo et al., 2017, eq. 5).

    sure: (n,) the probability given to the class that was answered; correct: (n,) bool.
    """
    bins = np.minimum((sure.astype(np.float64) * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=sure.astype(np.float64) - correct, minlength=BINS)
    return float(np.abs(gaps).sum() / len(sure))
