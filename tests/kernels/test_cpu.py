"""The compiled kernels, and what a machine without them does: it says so once, then runs on torch's."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from fairtrial.kernels import compiler as build
from fairtrial.kernels import cpu, dispatch
from fairtrial.kernels.dispatch import Slower
from fairtrial.kernels.standardization import BIT, standardize_all, way_of
from fairtrial.models.resnet import create_model
from tests.support.filters import close, need, oracle, weights


def forget() -> None:
    for each in (cpu.why_not, cpu._library, dispatch._say):
        each.cache_clear()


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """Nothing is loaded, nothing is kept, nothing was said."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    forget()
    yield tmp_path
    forget()


def compiler() -> None:
    """Skip the test where there is none."""
    try:
        build.find_compiler()
    except build.Unavailable as error:
        pytest.skip(str(error))


def no_compiler(fresh: Path, monkeypatch) -> str:
    monkeypatch.setenv("PATH", str(fresh))
    return "no C compiler is installed"


def missing_compiler(fresh: Path, monkeypatch) -> str:
    monkeypatch.setenv("CC", "no-such-cc")
    return "CC names 'no-such-cc', which is not there"


def failing_compiler(fresh: Path, monkeypatch) -> str:
    monkeypatch.setenv("CC", "false")
    return "could not compile our kernels"


def idle_compiler(fresh: Path, monkeypatch) -> str:
    monkeypatch.setenv("CC", "true")
    return "made no library"


def writer_of_nonsense(fresh: Path, monkeypatch) -> str:
    script = fresh / "nonsense-cc"
    script.write_text(
        '#!/bin/sh\nfor last; do case "$last" in *.o|*.so) echo nonsense > "$last";; esac; done\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))
    return "do not load"


def no_folder(fresh: Path, monkeypatch) -> str:
    compiler()
    (fresh / "cache").write_text("in the way")
    return "cannot write"


def no_openmp(fresh: Path, monkeypatch) -> str:
    monkeypatch.setattr(cpu, "library", lambda: fresh / "kernels.so")
    monkeypatch.setattr(cpu, "_openmp", lambda: "/no/such/libgomp.so")
    return "do not load"


OBSTACLES = [
    no_compiler, missing_compiler, failing_compiler, idle_compiler, writer_of_nonsense, no_folder, no_openmp,
]  # fmt: skip


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_where_they_cannot_be_had_one_line_says_so_and_torch_computes(fresh, monkeypatch, obstacle):
    reason = obstacle(fresh, monkeypatch)
    weight = torch.from_numpy(weights((4, 3, 3, 3)))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(3):
            (out,) = standardize_all([weight])
        create_model("mini", 10)(torch.zeros(1, 3, 16, 16))
    assert [each.category for each in said] == [Slower]
    words = str(said[0].message)
    assert "torch's own kernels, which are slower" in words and reason in words and "\n" not in words
    assert way_of("fastest", weight) == "layer_norm"
    close(out, oracle(weight.numpy(), weight.numpy(), BIT)[0], 1e-5)


def test_where_they_work_nothing_is_said(recwarn):
    need("compiled")
    create_model("mini", 10)(torch.zeros(1, 3, 16, 16))
    assert not [each for each in recwarn if each.category is Slower]


@pytest.mark.parametrize("kernels", ["torch", "plain"])
def test_who_asks_for_others_compiles_nothing_and_hears_nothing(fresh, monkeypatch, kernels, recwarn):
    monkeypatch.setattr(cpu, "library", lambda: pytest.fail("compiled"))
    standardize_all([torch.from_numpy(weights((4, 3, 3, 3)))], BIT, kernels)
    assert not [each for each in recwarn if each.category is Slower]


def test_shapes_alone_need_no_kernels(fresh, monkeypatch, recwarn):
    monkeypatch.setattr(cpu, "library", lambda: pytest.fail("compiled"))
    with torch.device("meta"):
        model = create_model("mini", 10)
    assert model(torch.empty(2, 3, 16, 16, device="meta")).shape == (2, 10)
    assert not [each for each in recwarn if each.category is Slower]


def test_a_damaged_library_in_the_cache_is_mended_before_it_is_loaded(fresh):
    compiler()
    path = build.library()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096])
    done = python("from fairtrial.kernels import cpu; print(cpu.why_not())")
    assert (done.returncode, done.stdout) == (0, "None\n"), done.stderr


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_importing_needs_no_compiler_and_compiles_nothing(fresh, monkeypatch):
    monkeypatch.setenv("PATH", "")
    done = python(
        "import fairtrial, fairtrial.layers, fairtrial.resnetv2; fairtrial.resnetv2.create_model('mini', 10)"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (fresh / "cache").exists()


def test_a_program_without_a_compiler_says_it_once_on_its_standard_error(fresh, monkeypatch):
    monkeypatch.setenv("PATH", "")
    code = "import torch; from fairtrial.resnetv2 import create_model\nfor _ in range(3):\n"
    code += " create_model('mini', 10)(torch.zeros(1, 3, 16, 16))"
    done = python(code)
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if "slower" in line] == [
        line for line in done.stderr.splitlines() if "no C compiler is installed" in line
    ]
    assert done.stderr.count("Slower") == 1


def test_the_threads_are_those_of_torch():
    """One OpenMP runtime in the process: a second one would have threads of its own."""
    need("compiled")
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("the files of a process are listed on Linux only")
    loaded = {line.split()[-1] for line in maps.read_text().splitlines() if "libgomp" in line}
    assert len(loaded) == 1


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
