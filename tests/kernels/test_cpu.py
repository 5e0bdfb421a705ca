"""The compiled kernels, once they were tried here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fairtrial.kernels import compiler, cpu, dispatch
from fairtrial.kernels.standardization import BIT, standardize_all
from fairtrial.models.resnet import create_model
from tests.support.filters import close, need, oracle, weights


def test_where_they_work_nothing_is_said(recwarn):
    need("compiled")
    create_model("mini", 10)(torch.zeros(1, 3, 16, 16))
    assert not [warning for warning in recwarn if warning.category is dispatch.Slower]


def test_a_library_that_is_gone_or_damaged_since_it_was_tried_is_an_error_and_no_crash(fresh_kernels):
    need("compiled")
    path = compiler.kept()
    for content in (path.read_bytes()[:4096], None):
        path.unlink()
        if content:
            path.write_bytes(content)
        with pytest.raises(compiler.Unavailable, match="no longer in"):
            standardize_all([torch.from_numpy(weights((4, 3, 3, 3)))])


def test_the_threads_are_those_of_torch():
    """One OpenMP runtime in a process that ran them: a second one would have threads of its own."""
    need("compiled")
    if not Path("/proc/self/maps").exists():
        pytest.skip("the files of a process are listed on Linux only")
    program = (
        "import torch\n"
        "from fairtrial.models.resnet import create_model\n"
        "create_model('mini', 10)(torch.zeros(1, 3, 16, 16))\n"
        "print(open('/proc/self/maps').read())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert any("fairtrial" in line and ".so" in line for line in lines)
    assert len({line.split()[-1] for line in lines if "libgomp" in line}) == 1


def test_whatever_torch_makes_by_default_the_kernels_compute_in_float32(monkeypatch):
    need("compiled")
    weight = torch.from_numpy(weights((4, 3, 3, 3)))
    expected, _ = oracle(weight.numpy(), weight.numpy(), BIT)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            (out,) = standardize_all([weight])
    finally:
        torch.set_default_dtype(torch.float32)
    close(out, expected, 1e-5)


def test_filters_are_counted_without_being_looked_at():
    shapes = cpu.Shapes.of([torch.empty(shape) for shape in [(4, 3, 2, 1), (0, 5, 1, 1), (7, 0, 3, 3)]])
    assert (list(shapes.filters), list(shapes.lengths), shapes.total) == ([4, 0, 7], [6, 5, 0], 11)
    assert np.prod(list(shapes.lengths)) == 0
