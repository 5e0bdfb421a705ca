"""Cells that are killed in their middle, and what their next attempt must give."""

import pytest

from fairtrial.failpoints import CHECKPOINT
from fairtrial.study.budget import Budget
from fairtrial.study.study import Study
from tests.support.forked_cells import repeats

KILLED = -9
STEPS = 12
ARMS = [("bn", False), ("bn", True), ("gn", False), ("gn", True)]
POINTS = [point for point in CHECKPOINT if point]
NIGHTLY = [
    pytest.param(*arm, marks=[] if arm == ("bn", True) else pytest.mark.soak, id="-".join(map(str, arm)))
    for arm in ARMS
]


def cell_of(norm="bn", weight_std=True, mixup=0.1, **more):
    fixed = {"model": "mini", "resolution": 8, "shots": 5, "val_per_class": 2, "batch_size": 8, "lr": 0.1}
    fixed |= {"weight_std": weight_std, "mixup": mixup, "augment": "crop-flip", **more}
    return Study("t", "", {"norm": (norm,)}, Budget(steps=STEPS), fixed=fixed, seeds=(0,)).cells()[0]


def hold(result, expected, step):
    assert repeats(result) == repeats(expected)
    went_on = [line for line in result["lines"] if "goes on" in line]
    assert len(went_on) == (step > 0) and all(f"from step {step} " in line for line in went_on)
    assert ("carried_s" in result["spent"]) == (step > 0)
