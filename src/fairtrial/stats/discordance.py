"""One network against one other on the same images: where they disagree."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
from scipy.special import bdtr

from fairtrial.stats.records import ExactTest


def mcnemar_p(
    a: Collection[bool] | np.ndarray, b: Collection[bool] | np.ndarray, *, scope: str = "new images"
) -> ExactTest:
    """Exact McNemar test: are the images that one network alone gets right split evenly between the two?

    a, b: (N,) truth values, whether each network is right on each image. Two-sided binomial test at ½ over
    the discordant images; estimate = share right of a - that of b, n = N images. The claim is limited to
    these two networks: it says nothing of training. No discordant image: p = 1.
    Unequal lengths, no image, anything but truth values: ValueError.
    Source: McNemar (1947); the exact form: Edwards (1948).
    """
    first, second = _truths(a, "a"), _truths(b, "b")
    if len(first) != len(second):
        raise ValueError(f"a and b are of the same images; got {len(first)} and {len(second)}")
    alone = int(np.count_nonzero(first & ~second)), int(np.count_nonzero(second & ~first))
    discordant = sum(alone)
    p = min(1.0, 2 * float(bdtr(min(alone), discordant, 0.5))) if discordant else 1.0
    return ExactTest(
        estimate=(alone[0] - alone[1]) / len(first),
        low=-math.inf,
        high=math.inf,
        level=0.95,
        method=f"exact McNemar over {discordant} discordant images",
        n=len(first),
        unit="test image",
        scope=scope,
        warnings=("limited to these two networks",),
        p=p,
        smallest_p=min(1.0, 2.0 * 0.5**discordant),
        exact=True,
        resamples=None,
    )


def _truths(values: Any, name: str) -> np.ndarray:
    found = np.asarray(values)
    if found.ndim != 1 or not found.size or not np.isin(found, (0, 1)).all():
        raise ValueError(f"{name} holds one truth value per image; got {found.dtype} of shape {found.shape}")
    return found.astype(bool)
