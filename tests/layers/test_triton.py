"""The Triton kernels under Triton's interpreter, on a CPU, against the plain formulas in float64.

In a process of its own: the interpreter must be asked for before Triton is imported.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

needs_time = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None or not os.environ.get("FAIRTRIAL_TEST_TRITON"),
    reason="the interpreter takes minutes: FAIRTRIAL_TEST_TRITON=1 asks for it, where triton is installed",
)

START = """
import torch
from fairtrial.layers.standardization import DEFINITIONS, standardize
from fairtrial.layers.triton_std_conv import standardize_all
torch.manual_seed(0)
SHAPES = [(4, 3, 3, 3), (5, 2, 3, 1), (2, 40, 1, 1), (3, 11, 7, 7), (1, 1, 1, 5)]

def close(found, expected, tolerance):
    gap = (found.double() - expected).abs().max() / expected.abs().max()
    assert gap < tolerance, (tuple(found.shape), float(gap))
"""
FILTERS = """
for definition in DEFINITIONS.values():
    eps, outside, correction = definition.eps, definition.outside, definition.correction
    weights = [torch.randn(shape) * 0.05 + 0.02 for shape in SHAPES]
    weights[0][1] = 0.25  # a constant filter
    weights[2] = weights[2].reshape(2, 10, 2, 2).contiguous(memory_format=torch.channels_last)
    upstream = [torch.randn(weight.shape) for weight in weights]
    upstream[0][1] = 0  # its gradient is that of eps alone: thousands of times the others
    leaves = [weight.requires_grad_() for weight in weights]
    exact = [weight.detach().double().requires_grad_() for weight in weights]
    made = standardize_all(leaves, eps, outside=outside, correction=correction)
    truth = [standardize(weight, eps, outside, correction) for weight in exact]
    assert not made[0][1].any()
    gradients = torch.autograd.grad(made, leaves, upstream)
    expected = [
        torch.autograd.grad(each, weight, g.double(), retain_graph=True)[0]
        for each, weight, g in zip(truth, exact, upstream)
    ]
    expected[0][1] = 0  # the plain formula divides 0 by 0 there when eps stands outside
    for found, right in [*zip(made, truth), *zip(gradients, expected)]:
        close(found, right.detach(), 1e-5)
"""
FAR = """
for scale, shift in ((1e-3, 0.1), (1e6, 0), (1e-6, 0)):
    weight = torch.randn(4, 8, 3, 3) * scale + shift
    (made,) = standardize_all([weight], 1e-10)
    close(made, standardize(weight.double(), 1e-10), 1e-4 if shift else 1e-5)
"""
NORM = """
import torch.nn.functional as F
from fairtrial.layers.triton_group_norm import group_norm_relu
for layout in (torch.contiguous_format, torch.channels_last):
    for shape, groups in (((2, 8, 5, 3), 2), ((3, 6, 1, 7), 6), ((1, 12, 4, 4), 1)):
        x = torch.randn(shape).contiguous(memory_format=layout).requires_grad_()
        weight, bias = (torch.randn(shape[1]).requires_grad_() for _ in range(2))
        upstream = torch.randn(shape).contiguous(memory_format=layout)
        out = group_norm_relu(x, groups, weight, bias, 1e-5)
        assert out.stride() == x.stride()
        exact = [each.detach().double().requires_grad_() for each in (x, weight, bias)]
        truth = F.relu(F.group_norm(exact[0], groups, *exact[1:], eps=1e-5))
        close(out, truth.detach(), 1e-5)
        found = torch.autograd.grad(out, (x, weight, bias), upstream)
        for one, other in zip(found, torch.autograd.grad(truth, exact, upstream.double())):
            close(one, other, 1e-5)
"""
PROOF = """
from fairtrial.layers import triton_proof
assert triton_proof.mismatch(torch.device("cpu")) is None
import fairtrial.layers.triton_std_conv as kernels
right = kernels.standardize_all
kernels.standardize_all = lambda weights, eps: tuple(1.01 * each for each in right(weights, eps))
assert "filters differ" in triton_proof.mismatch(torch.device("cpu"))
"""


@needs_time
@pytest.mark.parametrize("program", [FILTERS, FAR, NORM, PROOF], ids=["filters", "far", "norm", "proof"])
def test_triton_agrees_with_float64_under_its_interpreter(program):
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", START + program], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_machine_without_a_gpu_is_told_so():
    import torch

    from fairtrial.layers import triton_proof

    assert triton_proof.why_not(torch.device("cpu")) == "Triton kernels need a GPU; the device is cpu"
