"""The small rule that picks the kernels of a network."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Final

import torch

from fairtrial.kernels import cpu

FASTEST: Final = "fastest"
KERNELS: Final = {
    FASTEST: "our own kernels where they can be had: compiled C on a CPU, Triton on a GPU",
    "torch": "torch's kernels: layer norm over the filters of one layer after the other",
    "plain": "the formula as in BiT's released code: var_mean, a subtraction, a division",
}


OWN: Final = {"cpu": "compiled", "cuda": "triton"}


class Slower(UserWarning):
    """Our own kernels cannot be had on this machine."""


def own_kernels(device: torch.device) -> str | None:
    """The name of our own kernels on a device; None where there are none, said once in a warning."""
    if device.type == "meta":  # shapes alone: nothing is slower
        return None
    reason = why_not(device)
    if reason is not None:
        _say(f"StdConv runs on torch's own kernels, which are slower: {reason}")
        return None
    return OWN[device.type]


def why_not(device: torch.device) -> str | None:
    """What keeps a device from our own kernels, in words; None where it has them."""
    if device.type == "cpu":
        return cpu.why_not()
    return _proof(str(device)) if device.type in OWN else f"there are none for {device.type!r}"


@cache
def _proof(device: str) -> str | None:
    from fairtrial.kernels import triton_check

    return triton_check.why_not(torch.device(device))


@cache
def _say(words: str) -> None:
    warnings.warn(words, Slower, stacklevel=4)
