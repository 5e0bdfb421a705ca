"""The Triton kernels are believed on a device once they gave there what the plain formula gives."""

from __future__ import annotations

import torch

from fairtrial.layers.triton_support import available

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
    """What differs between the Triton kernels and the plain formula, both ways; None if nothing does."""
    from fairtrial.layers.standardization import standardize
    from fairtrial.layers.triton_std_conv import standardize_all

    draw = torch.Generator().manual_seed(0)
    weights = [torch.randn(shape, generator=draw).to(device).requires_grad_() for shape in SHAPES]
    upstream = [torch.randn(shape, generator=draw).to(device) for shape in SHAPES]
    ours = standardize_all(weights, 1e-10)
    plain = [standardize(weight, 1e-10) for weight in weights]
    gradients = [torch.autograd.grad(made, weights, upstream) for made in (ours, plain)]
    pairs = {"filters": (ours, plain), "gradients": (gradients[0], gradients[1])}
    for what, (found, expected) in pairs.items():
        for one, other in zip(found, expected, strict=True):
            gap = float((one - other).abs().max() / other.abs().max())
            if not gap <= CLOSE:
                return f"{what} differ by {gap:.1e} of their size"
    return None
