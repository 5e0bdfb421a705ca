"""What our kernels must show on a device before they are used.

Triton is tried in a process of its own: its interpreter must be asked for before it is imported.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import subprocess
import sys

import pytest

from fairtrial.kernels import compiler, contract
from tests.support.filters import need

PROGRAM = """
import torch
from fairtrial.kernels import contract
import fairtrial.kernels.triton_std_conv as kernels
cpu = torch.device("cpu")
for quiet in (torch.enable_grad, torch.no_grad, torch.inference_mode):
    with quiet():
        assert contract.triton_mismatch(cpu) is None
right = kernels.standardize_all
kernels.standardize_all = lambda weights, eps: tuple(1.01 * each for each in right(weights, eps))
assert "filters differ" in contract.triton_mismatch(cpu)
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed here")
def test_right_kernels_pass_the_trial_run_and_wrong_ones_do_not():
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_reason_against_a_device_without_a_gpu_is_said():
    assert contract.why_not("cuda:7") == "Triton kernels need a GPU; torch sees none called 'cuda:7'"


def test_a_trial_run_that_breaks_is_a_reason_and_not_a_crash(monkeypatch):
    def broken(device):
        raise RuntimeError("no kernel image\nand more")

    monkeypatch.setattr(contract, "_lacking", lambda device: None)
    monkeypatch.setattr(contract, "triton_mismatch", broken)
    assert contract.why_not("cuda:0") == "Triton failed a trial run: no kernel image"


class Broken:
    """A library whose functions compute, and then spoil one value of what they give."""

    def __init__(self, functions, spoiled):
        self.functions, self.spoiled = functions, spoiled

    def standardize_filters(self, *arguments):
        self.functions.standardize_filters(*arguments)
        if self.spoiled == "filters":
            ctypes.c_float.from_address(arguments[2][1]).value *= 1.01

    def standardize_filters_backward(self, *arguments):
        self.functions.standardize_filters_backward(*arguments)
        if self.spoiled == "gradients":
            ctypes.c_float.from_address(arguments[1][0]).value = float("nan")

    def norm_forward(self, *arguments):
        self.functions.norm_forward(*arguments)
        if self.spoiled == "normalized maps":
            ctypes.c_float.from_address(arguments[1] + 4).value = 9.0

    def norm_backward(self, *arguments):
        self.functions.norm_backward(*arguments)
        place = {"their gradients": 2, "gradients of scales": 11}.get(self.spoiled)
        if place is not None:
            ctypes.c_float.from_address(arguments[place]).value += 9.0


NORMS = ("normalized maps", "their gradients", "gradients of scales")


@pytest.mark.parametrize("spoiled", [None, "filters", "gradients", *NORMS])
def test_a_library_is_held_to_the_plain_formula_value_by_value(monkeypatch, spoiled):
    need("compiled")
    functions = compiler.load(compiler.kept())
    monkeypatch.setattr(contract.compiler, "load", lambda path: Broken(functions, spoiled))
    reason = contract.why_not("cpu")
    assert reason is None if spoiled is None else f"kernels are wrong: {spoiled} differ by" in reason
