"""What an evaluation found: how many answers are right, how likely they were, how calibrated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

BINS: Final = 15  # of the confidence, as Guo et al. (2017) have them


@dataclass(frozen=True)
class Score:
    """One evaluation. correct: (n,) bool, in the order of the images. calibration: expected error."""

    accuracy: float
    loss: float | None  # None when it is no finite number
    correct: np.ndarray
    calibration: float | None = None


def calibration_error(sure: np.ndarray, correct: np.ndarray) -> float:
    """Return the expected calibration error in 0..1 over BINS bins of equal width (Guo et al., 2017, eq. 5).

    sure: (n,) the probability given to the class that was answered; correct: (n,) bool.
    """
    bins = np.minimum((sure.astype(np.float64) * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=sure.astype(np.float64) - correct, minlength=BINS)
    return float(np.abs(gaps).sum() / len(sure))
