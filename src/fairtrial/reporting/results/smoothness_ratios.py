"""What weight standardization does to the smoothness of the loss, from the record of its probe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fairtrial.stats import mean_interval
from fairtrial.stats.records import MeanInterval


def by_look(arm: Mapping[str, Any], key: str) -> np.ndarray:
    """(starts, looks) of one quantity of an arm; an eigenvalue by its magnitude."""
    return np.abs(np.array([[row[key] for row in run] for run in arm["runs"]]))


def log_ratio(values: Mapping[str, Any], norm: str) -> MeanInterval:
    """Return the interval over starts of log(WS / plain) of the gradient's change, a mean over looks."""
    sides = {
        arm["weight_std"]: by_look(arm, "gradient_change") for arm in values["arms"] if arm["norm"] == norm
    }
    return mean_interval(np.log(sides[True] / sides[False]).mean(axis=1), unit="start")
