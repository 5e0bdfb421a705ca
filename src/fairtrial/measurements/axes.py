"""Which values share a statistic, asked of the layers themselves (F3.7)."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from fairtrial.layers import NORMS, standardize
from fairtrial.rng import stream

SHAPE: Final = (4, 6, 3, 3)  # images, channels, pixels; or filters, input channels, pixels
GROUPS: Final = 3
AXES: Final = ("bn", "ln", "in", "gn")


def measure() -> dict[str, Any]:
    """-> shape, groups, and per layer a mask (N, C, HW) of 0 and 1: the values that meet those of [0, 0].

    One is where the first output depends on the input: a derivative in float64 that is not 0. "ws" is the
    mask (O, I, kh x kw) of `layers.standardize`, for the first value of the first filter.
    """
    x = torch.from_numpy(stream("eval", 0).standard_normal(SHAPE)).requires_grad_()
    masks = {name: mask(NORMS[name].build(SHAPE[1], groups=GROUPS).double().train()(x), x) for name in AXES}
    masks["ws"] = mask(standardize(x, 1e-10), x)
    return {"shape": [SHAPE[0], SHAPE[1], SHAPE[2] * SHAPE[3]], "groups": GROUPS, "masks": masks}


def mask(out: Tensor, x: Tensor) -> list[list[list[int]]]:
    """Where the first value of `out` depends on `x`: (N, C, H, W) each -> (N, C, H x W) of 0 and 1."""
    (slope,) = torch.autograd.grad(out[0, 0, 0, 0], x)
    return (slope.abs() > 1e-12).int().flatten(2).tolist()
