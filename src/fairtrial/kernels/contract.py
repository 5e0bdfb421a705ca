"""What our kernels must show on a device before they are used: a process of its own, started by dispatch.

`python -P -m fairtrial.kernels.contract DEVICE` compiles what is missing, loads it, and holds its results to
the plain formulas. It prints one line of JSON: {"reason": null}, or why they cannot be used. It leads a group
of processes; when its standard input closes it ends, with all of them.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import random
import signal
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fairtrial.kernels import compiler

if TYPE_CHECKING:
    import torch
    from torch import Tensor

CLOSE: Final = 1e-4  # of the largest value: float32, summed in another order
EPS: Final = 1e-5
CHANNELS_LAST: Final = (2, 6, 40)  # images, pixels and channels of the maps that C is given
STATISTICS: Final = (4, 40)  # groups of their channels
LISTS: Final = ((3, 75), (2, 8))  # (filters, values of each) of the two weights that C is given
MAPS, GROUPS = (2, 16, 5, 5), 4
SHAPES: Final = ((8, 3, 7, 7), (16, 16, 3, 3), (32, 64, 1, 1))
OLDEST: Final = (
    8,
    0,
)  # compute capability of an A100; before it bfloat16 is emulated, and Triton drops support

Pairs = dict[str, tuple[Sequence["Tensor"], Sequence["Tensor"]]]  # what: ours, torch's


def main() -> None:
    """Print what keeps the device from our kernels."""
    threading.Thread(target=_end_with_the_asker, daemon=True).start()
    print(json.dumps({"reason": why_not(sys.argv[1])}))


def _end_with_the_asker() -> None:
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


def why_not(device: str) -> str | None:
    """Return None where our kernels run on this device and are right; otherwise the reason, in one line."""
    return _compiled() if device == "cpu" else _triton(device)


# C on a CPU, without torch


def _compiled() -> str | None:
    try:
        functions = compiler.load(compiler.build())
    except compiler.Unavailable as error:
        return str(error)
    for outside in (0, 1):
        for correction in (0, 1):
            if wrong := _c_mismatch(functions, outside, correction):
                return f"the compiled kernels are wrong: {wrong}"
    for groups in STATISTICS:
        for relu in (0, 1):
            if wrong := _c_norm_mismatch(functions, groups, relu):
                return f"the compiled kernels are wrong: {wrong}"
    return None


def _c_mismatch(functions: ctypes.CDLL, outside: int, correction: int) -> str | None:
    """What differs between the library and the formula for one definition; None if nothing does."""
    draw = random.Random(0)
    weights, gradients = ([[draw.gauss(0.3, 1) for _ in range(n * size)] for n, size in LISTS] for _ in "wg")
    made, turned = _by_c(functions, weights, gradients, outside, correction)
    for index, (_, size) in enumerate(LISTS):
        for start in range(0, len(weights[index]), size):
            part = slice(start, start + size)
            expected = _by_formula(weights[index][part], gradients[index][part], outside, correction)
            for what, ours, plain in zip(
                ("filters", "gradients"), (made[index][part], turned[index][part]), expected, strict=True
            ):
                gap = max(abs(a - b) for a, b in zip(ours, plain, strict=True)) / max(map(abs, plain))
                if not gap <= CLOSE:
                    return f"{what} differ by {gap:.1e} of their size"
    return None


def _by_c(
    functions: ctypes.CDLL,
    weights: list[list[float]],
    gradients: list[list[float]],
    outside: int,
    correction: int,
) -> tuple[list[list[float]], list[list[float]]]:
    """The standardized filters and the gradients of the weights, as the library computes them."""
    given = [(ctypes.c_float * len(values))(*values) for values in weights]
    made = [(ctypes.c_float * len(values))() for values in weights]
    turned = [(ctypes.c_float * len(values))(*values) for values in gradients]
    filters, sizes = ((ctypes.c_int64 * len(LISTS))(*column) for column in zip(*LISTS, strict=True))
    root, slope = ((ctypes.c_float * sum(filters))() for _ in range(2))
    functions.standardize_filters(
        len(LISTS), _addresses(given), _addresses(made), filters, sizes,
        ctypes.addressof(root), ctypes.addressof(slope), EPS, outside, correction, 0,
    )  # fmt: skip
    functions.standardize_filters_backward(
        len(LISTS), _addresses(turned), _addresses(made), filters, sizes,
        ctypes.addressof(root), ctypes.addressof(slope),
    )  # fmt: skip
    return [list(values) for values in made], [list(values) for values in turned]


def _c_norm_mismatch(functions: ctypes.CDLL, groups: int, relu: int) -> str | None:
    """What differs between the library and the formulas of a norm and its relu; None if nothing does."""
    images, pixels, channels = CHANNELS_LAST
    draw, size = random.Random(1), images * pixels * channels
    floats = ctypes.c_float * size
    x, dy = (floats(*[draw.gauss(0.3, 1) for _ in range(size)]) for _ in "xd")
    weight, bias = ((ctypes.c_float * channels)(*[draw.gauss(1, 0.3) for _ in range(channels)]) for _ in "wb")
    y, dx, given, kept = floats(), floats(), (ctypes.c_float * (2 * channels))(), floats()
    room = (ctypes.c_float * (4 * images * channels))()
    ours = [ctypes.addressof(each) for each in (x, y, weight, bias, dy, dx, given, kept, room)]
    shape = (images, pixels, channels, groups, EPS, relu)
    functions.norm_forward(*ours[:4], *shape, ours[7], ours[8])
    functions.norm_backward(ours[4], ours[0], ours[5], ours[2], *shape, ours[7], ours[6], ours[8])
    expected = _norm_by_formula(list(x), list(dy), list(weight), list(bias), groups, relu)
    found = {"normalized maps": list(y), "their gradients": list(dx), "gradients of scales": list(given)}
    for (what, made), plain in zip(found.items(), expected, strict=True):
        gap = max(abs(a - b) for a, b in zip(made, plain, strict=True)) / max(map(abs, plain))
        if not gap <= CLOSE:
            return f"{what} differ by {gap:.1e} of their size"
    return None


def _norm_by_formula(
    x: list[float],
    dy: list[float],
    weight: list[float],
    bias: list[float],
    groups: int,
    relu: int,
) -> tuple[list[float], list[float], list[float]]:
    """The normalized maps, their gradient, and those of scales and shifts, in float64."""
    channels, size = CHANNELS_LAST[2], len(x)
    y, dx, given = [0.0] * size, [0.0] * size, [0.0] * (2 * channels)
    statistics: dict[tuple[int, int], list[int]] = {}
    for at in range(size):
        image, channel = at // (size // CHANNELS_LAST[0]), at % channels
        statistics.setdefault((image, channel * groups // channels), []).append(at)
    for places in statistics.values():
        count = len(places)
        mean = math.fsum(x[at] for at in places) / count
        root = 1 / math.sqrt(math.fsum((x[at] - mean) ** 2 for at in places) / count + EPS)
        normal = {at: (x[at] - mean) * root for at in places}
        for at in places:
            y[at] = normal[at] * weight[at % channels] + bias[at % channels]
        dz = {at: 0.0 if relu and y[at] <= 0 else dy[at] for at in places}
        inner = {at: dz[at] * weight[at % channels] for at in places}
        level = math.fsum(inner.values()) / count
        slope = math.fsum(inner[at] * normal[at] for at in places) / count
        for at in places:
            dx[at] = root * (inner[at] - level - normal[at] * slope)
            given[at % channels] += dz[at] * normal[at]
            given[channels + at % channels] += dz[at]
            y[at] = max(y[at], 0.0) if relu else y[at]
    return y, dx, given


def _addresses(arrays: Sequence[ctypes.Array]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(arrays))(*[ctypes.addressof(array) for array in arrays])


def _by_formula(
    values: list[float], gradients: list[float], outside: int, correction: int
) -> tuple[list[float], list[float]]:
    """One standardized filter and the gradient of its weights, in float64."""
    degrees = len(values) - correction
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / degrees
    root = 1 / (math.sqrt(variance) + EPS) if outside else 1 / math.sqrt(variance + EPS)
    slope = 1 / math.sqrt(variance) if outside else root
    made = [(value - mean) * root for value in values]
    mean = math.fsum(gradients) / len(gradients)
    slant = slope * math.fsum(g * m for g, m in zip(gradients, made, strict=True)) / degrees
    return made, [(g - mean) * root - m * slant for g, m in zip(gradients, made, strict=True)]


# Triton on a GPU


def _triton(device: str) -> str | None:
    import torch

    if reason := _lacking(torch.device(device)):
        return reason
    try:
        wrong = triton_mismatch(torch.device(device))
    except Exception as error:  # whatever a driver or a compiler says, torch's kernels are there
        wrong = str(error).strip().partition("\n")[0] or type(error).__name__
    return f"Triton failed a trial run: {wrong}" if wrong else None


def _lacking(device: torch.device) -> str | None:
    """What a device lacks for the Triton kernels; None where they can be tried."""
    import torch

    if device.type != "cuda" or not torch.cuda.is_available():
        return f"Triton kernels need a GPU; torch sees none called {str(device)!r}"
    capability = torch.cuda.get_device_capability(device)
    if capability < OLDEST and torch.version.hip is None:
        found, needed = (".".join(map(str, each)) for each in (capability, OLDEST))
        return f"Triton kernels need compute capability {needed} or later; this GPU has {found}"
    try:
        import triton  # noqa: F401
    except ImportError as error:
        return f"Triton does not load: {error}"
    return None


def triton_mismatch(device: torch.device) -> str | None:
    """Return what differs between the Triton kernels and torch's own, both ways; None if nothing does."""
    import torch

    with torch.inference_mode(False), torch.enable_grad():
        for what, (ours, theirs) in {**_filters(device), **_norms(device)}.items():
            for one, other in zip(ours, theirs, strict=True):
                gap = float((one - other).detach().abs().max() / other.detach().abs().max())
                if not gap <= CLOSE:
                    return f"{what} differ by {gap:.1e} of their size"
    return None


def _filters(device: torch.device) -> Pairs:
    """Standardized filters, by the plain formula."""
    import torch

    from fairtrial.kernels.standardization import standardize
    from fairtrial.kernels.triton_std_conv import standardize_all

    draw = torch.Generator().manual_seed(0)
    weights = [torch.randn(shape, generator=draw).to(device).requires_grad_() for shape in SHAPES]
    upstream = [torch.randn(shape, generator=draw).to(device) for shape in SHAPES]
    ours = standardize_all(weights, 1e-10)
    plain = [standardize(weight, 1e-10) for weight in weights]
    gradients = [torch.autograd.grad(made, weights, upstream) for made in (ours, plain)]
    return {"filters": (ours, plain), "gradients": (gradients[0], gradients[1])}


def _norms(device: torch.device) -> Pairs:
    """GroupNorm with its relu."""
    import torch

    from fairtrial.kernels.triton_group_norm import group_norm_relu

    draw = torch.Generator().manual_seed(0)
    x, upstream = (torch.randn(MAPS, generator=draw).to(device) for _ in range(2))
    scales = torch.linspace(0.5, 1.5, MAPS[1], device=device)
    leaves = [leaf.requires_grad_() for leaf in (x, scales, scales.flip(0) - 1)]
    ours = group_norm_relu(leaves[0], GROUPS, leaves[1], leaves[2], 1e-5)
    theirs = torch.relu(torch.group_norm(leaves[0], GROUPS, leaves[1], leaves[2], 1e-5))
    gradients = [torch.autograd.grad(made, leaves, upstream) for made in (ours, theirs)]
    return {"normalized maps": ((ours,), (theirs,)), "their gradients": (gradients[0], gradients[1])}


if __name__ == "__main__":
    main()
