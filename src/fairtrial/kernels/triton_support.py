"""What each launch of a Triton kernel asks first."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def interpreted(kernel: Any) -> bool:
    """Whether TRITON_INTERPRET=1 was set when the kernel was defined: it runs in NumPy, on any device."""
    from triton.runtime.jit import JITFunction

    return not isinstance(kernel, JITFunction)


def check(what: str, tensors: list[Tensor], kernel: Any) -> None:
    """Refuse what a kernel would misread: no tensors, two devices, a CPU, another kind of number."""
    if not tensors:
        raise ValueError(f"{what} got no tensors; expected at least one")
    device = tensors[0].device
    if any(tensor.device != device for tensor in tensors):
        found = ", ".join(sorted({str(tensor.device) for tensor in tensors}))
        raise ValueError(f"{what} got tensors on {found}; move them to one GPU")
    if device.type != "cuda" and not interpreted(kernel):
        raise ValueError(
            f"{what} runs on a GPU, but the tensors are on {device.type}. "
            "Move them to a GPU, or use the plain form."
        )
    known = (torch.float32, torch.bfloat16, torch.float16)
    for tensor in tensors:
        if tensor.dtype not in known:
            raise ValueError(f"{what} takes float32, bfloat16 or float16, but got {tensor.dtype}")
