"""Whether the Triton kernels can run on a device, and what each launch asks first."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

OLDEST = (8, 0)  # compute capability of an A100; before it bfloat16 is emulated, and Triton drops support


def available(device: torch.device | str) -> str | None:
    """None where the kernels can run on this device; otherwise the reason, for one line to the user."""
    device = torch.device(device)
    if device.type != "cuda":
        return f"Triton kernels need a GPU; the device is {device.type}"
    if not torch.cuda.is_available():
        return "Triton kernels need a GPU; torch sees none"
    capability = torch.cuda.get_device_capability(device)
    if capability < OLDEST and torch.version.hip is None:
        found, needed = (".".join(map(str, each)) for each in (capability, OLDEST))
        return f"Triton kernels need compute capability {needed} or later; this GPU has {found}"
    try:
        import triton  # noqa: F401
    except ImportError as error:
        return f"Triton does not load: {error}"
    return None


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
