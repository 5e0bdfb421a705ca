"""Standardized filters and their gradients by hand, in float64, one filter after the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from fairtrial.kernels import dispatch
from fairtrial.kernels.standardization import WAYS, Definition

INSIDE = ("bit", "timm", "timm-bit")  # the definitions of eps inside the root and population variance
KNOWN = [(way, name) for way in ("var_mean", "compiled") for name in (*INSIDE, "big_vision", "ws")]
KNOWN += [(way, name) for way in ("batch_norm", "layer_norm") for name in INSIDE]
SHAPES = [
    (16, 3, 3, 3), (64, 16, 1, 1), (16, 16, 3, 3), (64, 256, 1, 1), (8, 64, 7, 7), (5, 2, 3, 1),
    (3, 11, 3, 3), (1, 33, 1, 1), (2, 1, 1, 5),
]  # fmt: skip
LAYOUTS = {"nchw": torch.contiguous_format, "nhwc": torch.channels_last}
# float32 rounds at 6e-8, and filters are of size 1; means over n terms and the root add some units of that.
CLOSE = 1e-5
# test_triton_interpreted.py has Triton's way, under its interpreter
HERE = [way for way in WAYS if way != "triton"]
every_way = pytest.mark.parametrize("way", HERE)


def oracle(weight: np.ndarray, upstream: np.ndarray, definition: Definition) -> tuple[np.ndarray, np.ndarray]:
    """The standardized filters, and the gradient of sum(upstream * them); both in float64."""
    out, grad = np.empty(weight.shape), np.empty(weight.shape)
    for i, (w, g) in enumerate(zip(weight.astype(np.float64), upstream.astype(np.float64), strict=True)):
        centred = w - w.mean()
        degrees = max(w.size - definition.correction, 1)
        std = np.sqrt((centred**2).sum() / degrees)
        if definition.outside:
            root, slope = 1 / (std + definition.eps), 1 / std if std else 0.0
        else:
            root = slope = 1 / np.sqrt(std**2 + definition.eps)
        out[i] = centred * root
        grad[i] = (g - g.mean()) * root - out[i] * (g * out[i]).sum() * slope / degrees
    return out, grad


def weights(shape: tuple[int, ...], seed: int = 0, mean: float = 0.3) -> np.ndarray:
    """He-normal filters; their mean, in deviations, is what standardization must remove."""
    scale = np.sqrt(2 / max(np.prod(shape[1:]), 1))
    return np.random.default_rng(seed).normal(mean * scale, scale, shape).astype(np.float32)


def normal(shape: Sequence[int], seed: int = 1) -> np.ndarray:
    """Gradients as they may come."""
    return np.random.default_rng(seed).normal(size=tuple(shape)).astype(np.float32)


def run(
    way: str, tensors: Sequence[torch.Tensor], upstream: Sequence[torch.Tensor], definition: Definition
) -> tuple[list[torch.Tensor], list[torch.Tensor | None]]:
    """The filters and the gradients of leaves, by one row of WAYS."""
    need(way)
    made = WAYS[way](tensors, definition)
    torch.autograd.backward(made, list(upstream))
    return [each.detach() for each in made], [each.grad for each in tensors]


def need(way: str) -> None:
    """Skip the test, with the reason, where this way cannot be had."""
    if way == "compiled" and (reason := dispatch.choose("cpu").reason):
        pytest.skip(reason)


def known_to_round_alike() -> bool:
    """Whether torch has the rounding here that our C repeats: elsewhere a trial may find another one."""
    return torch.__version__ >= "2.15" and torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")


def close(found: torch.Tensor, expected: np.ndarray, tolerance: float) -> None:
    """Within a tolerance that is relative to the largest value of all filters."""
    size = np.abs(expected).max(initial=0)
    gap = np.abs(found.double().numpy() - expected).max(initial=0)
    assert gap <= tolerance * size, f"off by {gap / size if size else gap:.2g}, relative to {size:.2g}"


def leaf(values: np.ndarray, layout: str = "nchw", dtype: torch.dtype = torch.float32) -> torch.Tensor:
    tensor = torch.from_numpy(values).to(dtype).to(memory_format=LAYOUTS[layout], copy=True)
    return tensor.requires_grad_()
