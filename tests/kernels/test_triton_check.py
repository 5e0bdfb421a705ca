"""The trial run that Triton has to pass on a device, here under its interpreter.

In a process of its own: the interpreter must be asked for before Triton is imported.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest
import torch

from fairtrial.kernels import triton_check

PROGRAM = """
import torch
from fairtrial.kernels import triton_check
import fairtrial.kernels.triton_std_conv as kernels
cpu = torch.device("cpu")
for quiet in (torch.enable_grad, torch.no_grad, torch.inference_mode):
    with quiet():
        assert triton_check.mismatch(cpu) is None
right = kernels.standardize_all
kernels.standardize_all = lambda weights, eps: tuple(1.01 * each for each in right(weights, eps))
assert "filters differ" in triton_check.mismatch(cpu)
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed here")
def test_right_kernels_pass_the_trial_run_and_wrong_ones_do_not():
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_machine_without_a_gpu_is_told_so():
    assert triton_check.why_not(torch.device("cpu")) == "Triton kernels need a GPU; the device is cpu"


def test_a_trial_run_that_breaks_is_a_reason_and_not_a_crash(monkeypatch):
    def broken(device):
        raise RuntimeError("no kernel image\nand more")

    monkeypatch.setattr(triton_check, "available", lambda device: None)
    monkeypatch.setattr(triton_check, "mismatch", broken)
    assert triton_check.why_not(torch.device("cpu")) == "Triton failed a trial run: no kernel image"
