"""Every kind of bench runs once, where that is cheap."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHEAP = {  # file -> the tests of it that are small
    "test_filters.py": "mini",
    "test_std_conv.py": "16x16k3s1-8px",
    "test_norms.py": "4x256x2x2",
    "test_step.py": "mini-2-1",
    "test_layouts.py": "4",
    "test_size.py": "few",
}


def bench(*arguments):
    """A pytest of its own, which must not take itself for a worker of xdist: those time nothing."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        command, cwd=ROOT, env=alone, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.slow
def test_a_bench_runs_once_when_benchmarks_are_disabled():
    small = " or ".join(f"({file} and {tests})" for file, tests in CHEAP.items())
    # of all files, so that each is collected; -v undoes -q
    done = bench("bench", "-v", "-k", small, "--benchmark-disable")
    assert done.returncode == 0, done.stdout[-2000:]
    assert all(f"bench/{file} ." in done.stdout for file in CHEAP), done.stdout[-2000:]
