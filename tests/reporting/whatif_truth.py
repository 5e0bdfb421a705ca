"""A study in seconds whose truth is known: accuracy grows with the logarithm of the updates."""

from __future__ import annotations

import math

import numpy as np

from fairtrial.study.budget import Budget
from fairtrial.study.study import Contrast

GN_WS = {"norm": "gn", "weight_std": True}
BN = {"norm": "bn", "weight_std": False}
AT_4 = {"batch_size": 4}
SHARE = 0.3  # of a step with weight standardization
STEPS = 100  # of an arm with weight standardization, in the study in seconds
GROWTH = 0.15  # accuracy per unit of log(updates), for gn+ws
SMALL = Contrast("small batch", GN_WS, BN, AT_4)


def normal(*key):
    return float(np.random.default_rng([int(each) for each in key]).normal())


def luck(cell, sd=0.004):
    """What a seed adds to an arm, at every budget."""
    levels = cell.levels
    return sd * normal(cell.seed, levels["norm"] == "gn", levels["weight_std"], levels["batch_size"])


def truth(gap, growth=GROWTH, curve=(), jitter=0.002, level=0.8):
    """What `publish` takes: bn scores `level`, gn+ws `gap` more after STEPS, and `growth` per log of updates.

    curve: what validation lacks at each quarter of the updates. jitter: of the time of a step.
    """

    def outcome(cell):
        ws, gn = cell.levels["weight_std"], cell.levels["norm"] == "gn"
        step_s = 0.01 if ws else 0.01 * (1 - SHARE)
        steps = int(cell.budget.amount) if cell.budget.kind == "steps" else round(STEPS * 0.01 / step_s)
        mine = gap + growth * math.log(steps / STEPS) if ws and gn else 0.0
        quarters = [[steps * (q + 1) / 4, 0.9 - lack, 0.3] for q, lack in enumerate(curve)]
        seconds = steps * step_s * (1 + jitter * normal(cell.seed, ws, 77))
        return {
            "spent": {"steps": steps, "train_s": seconds},
            "measured": {"test_acc": level + mine + luck(cell), "val_curve": quarters},
        }

    return outcome


def factors(*batches):
    """The four arms at some batch sizes."""
    return {"norm": ("bn", "gn"), "weight_std": (False, True), "batch_size": batches or (4,)}


def in_seconds(make_study, **changed):
    """The study with one second a cell: 100 updates with weight standardization, 143 without."""
    fields = {
        "budget": Budget(seconds=1),
        "primary": SMALL,
        "margin": 0.001,
        "aa": None,
        "factors": factors(),
    }
    return make_study(**{**fields, **changed})


def in_steps(make_study, steps, **changed):
    """The same arms with a budget of steps, in a folder of its own."""
    return in_seconds(make_study, name=f"steps-{steps}", budget=Budget(steps=steps), **changed)
