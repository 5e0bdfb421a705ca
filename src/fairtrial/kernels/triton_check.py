"""The Triton kernels are believed on a device once they gave there what torch's own give."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fairtrial.kernels.triton_support import available

MAPS, GROUPS = (2, 16, 5, 5), 4
SHAPES = ((8, 3, 7, 7), (16, 16, 3, 3), (32, 64, 1, 1))
CLOSE = 1e-4  # of the largest value: float32, summed in another order


def why_not(device: torch.device) -> str | None:
    """None where they run on this device and are right; otherwise the reason, for one line to the user."""
    reason = available(device)
    if reason is not None:
        return reason
    try:
        wrong = mismatch(device)
    except Exception as error:  # whatever a driver or a compiler says, torch's kernels are there
        return (
            f"Triton failed a trial run: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        )
    return f"Triton failed a trial run: {wrong}" if wrong else None


def mismatch(device: torch.device) -> str | None:
    """What differs between the Triton kernels and torch's own, both ways; None if nothing does."""
    with torch.inference_mode(False), torch.enable_grad():  # the first pass may be one of evaluation
        return _compared({**_filters(device), **_norms(device)})


Pairs = dict[str, tuple[Sequence[Tensor], Sequence[Tensor]]]  # what: ours, torch's


def _filters(device: torch.device) -> Pairs:
    """Standardized filters, by the plain formula."""
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
    from fairtrial.kernels.triton_group_norm import group_norm_relu

    draw = torch.Generator().manual_seed(0)
    x, upstream = (torch.randn(MAPS, generator=draw).to(device) for _ in range(2))
    scales = torch.linspace(0.5, 1.5, MAPS[1], device=device)
    leaves = [each.requires_grad_() for each in (x, scales, scales.flip(0) - 1)]
    ours = group_norm_relu(leaves[0], GROUPS, leaves[1], leaves[2], 1e-5)
    theirs = torch.relu(torch.group_norm(leaves[0], GROUPS, leaves[1], leaves[2], 1e-5))
    gradients = [torch.autograd.grad(made, leaves, upstream) for made in (ours, theirs)]
    return {"normalized maps": ((ours,), (theirs,)), "their gradients": (gradients[0], gradients[1])}


def _compared(pairs: Pairs) -> str | None:
    """The first pair whose two sides are not close, in words."""
    for what, (found, expected) in pairs.items():
        for one, other in zip(found, expected, strict=True):
            gap = float((one - other).detach().abs().max() / other.detach().abs().max())
            if not gap <= CLOSE:
                return f"{what} differ by {gap:.1e} of their size"
    return None
