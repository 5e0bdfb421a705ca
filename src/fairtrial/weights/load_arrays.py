"""The arrays of a file against a network: exact names and shapes, finite values, then a copy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import nn

from fairtrial.errors import BAD_INPUT, USAGE, Fault, Problem, did_you_mean, fault

Shape = tuple[int, ...]

HEADS: Final = ("keep", "replace", "zero")
HEAD: Final = ("head.conv.weight", "head.conv.bias")  # of the network
FIRST: Final = 5  # names that are shown of many


def check_head(head: str) -> None:
    """An unknown word for what becomes of the head is a usage Fault."""
    if head not in HEADS:
        what = f"head={head!r} is not a known word{did_you_mean(head, HEADS)}"
        raise fault(what, "head", f"choose one of {', '.join(HEADS)}", USAGE)


def any_head(
    expected: dict[str, Shape], found: Mapping[str, Shape], kernel: str, bias: str, *, axis: int
) -> dict[str, Shape]:
    """The expected shapes with as many classes as the file has; axis: that of the classes in `kernel`."""
    classes = found.get(bias, ())
    if len(classes) != 1:
        return expected
    shape = list(expected[kernel])
    shape[axis] = classes[0]
    return {**expected, kernel: tuple(shape), bias: classes}


def compare(path: Path, found: Mapping[str, Shape], expected: Mapping[str, Shape], network: str) -> None:
    """A Fault unless names and shapes are the same; nothing is ever broadcast."""
    problems = []
    for key in sorted(expected.keys() & found.keys()):
        if found[key] != expected[key]:
            what = f"shape {found[key]}, expected {expected[key]} for {network}"
            problems.append(Problem(what, f"{path}, {key}", _do(key)))
    if missing := expected.keys() - found.keys():
        what = f"{len(missing):,} arrays of {network} are missing: {_some(missing)}"
        problems.append(Problem(what, str(path), _do("")))
    if extra := found.keys() - expected.keys():
        what = f"{len(extra):,} arrays that {network} does not have: {_some(extra)}"
        problems.append(Problem(what, str(path), _do("")))
    if problems:
        raise Fault(problems, BAD_INPUT)


def not_finite(path: Path, arrays: Mapping[str, np.ndarray]) -> list[Problem]:
    """A problem for every array with a NaN or an infinity."""
    problems = []
    for key, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            count = int((~np.isfinite(array)).sum())
            what = f"{count:,} of {array.size:,} values are NaN or infinite, refused"
            problems.append(Problem(what, f"{path}, {key}", "take an undamaged copy of the file"))
    return problems


@torch.no_grad()
def fill(model: nn.Module, arrays: Mapping[str, np.ndarray], head: str) -> None:
    """Copy arrays, which `compare` has seen, into the network; the head as the word says."""
    for name, value in model.state_dict().items():
        if name not in HEAD or head == "keep":
            array = torch.from_numpy(arrays[name])
            assert array.shape == value.shape, name  # copy_ would broadcast
            value.copy_(array)
        elif head == "zero":
            value.zero_()


def _some(keys: Iterable[str]) -> str:
    names = sorted(keys)
    return ", ".join(names[:FIRST]) + (", ..." if len(names) > FIRST else "")


def _do(key: str) -> str:
    if "head" in key.replace("/", ".").split(".") and "conv" in key:
        return 'give head="zero" (or "replace") to leave the head of the file out'
    return "choose the file of this network"
