"""The Triton kernels without a GPU: held to their oracles under Triton's interpreter, else refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fairtrial.kernels import contract

TESTS = Path(__file__).parent / "interpreted"


@pytest.mark.slow
@pytest.mark.parametrize("which", ["not soak", pytest.param("soak", marks=pytest.mark.soak)])
def test_the_kernels_pass_their_tests_under_the_interpreter(which):
    pytest.importorskip("triton", reason="Triton is not installed: it comes with torch for CUDA on Linux")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", which]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment["TRITON_INTERPRET"] = "1"
    run = subprocess.run([*command, str(TESTS)], env=environment, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout and "skipped" not in run.stdout, run.stdout


@pytest.mark.skipif(
    os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter takes tensors on a CPU"
)
def test_tensors_on_a_cpu_are_refused():
    pytest.importorskip("triton", reason="Triton is not installed: it comes with torch for CUDA on Linux")
    from fairtrial.kernels.triton_group_norm import group_norm_relu
    from fairtrial.kernels.triton_std_conv import standardize_all

    with pytest.raises(ValueError, match=r"standardize_all runs on a GPU, .* on cpu\. Move them"):
        standardize_all([torch.ones(2, 3, 1, 1)], 1e-10)
    with pytest.raises(ValueError, match=r"group_norm_relu runs on a GPU, .* on cpu\. Move them"):
        group_norm_relu(torch.ones(1, 2, 2, 2), 1, torch.ones(2), torch.ones(2), 1e-5)


def test_a_gpu_that_is_too_old_is_named_with_both_numbers(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.version, "hip", None)
    found = contract.why_not("cuda:0")
    assert found == "Triton kernels need compute capability 8.0 or later; this GPU has 7.5"
