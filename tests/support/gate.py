"""A checkout with a library and benches of a few lines, so that the gate itself is what runs."""

import subprocess
from pathlib import Path

# Its time is its own: what a call takes is stated, within 1 %, and no busy machine can change it.
LIBRARY = '''
"""Its one function takes a stated time of its own clock."""
import random

SECONDS = 0.0


def now():
    return SECONDS


def work(ms={ms}):
    global SECONDS
    SECONDS += ms / 1000 * random.uniform(0.99, 1.01)
'''
TURNS = """
import json, os, socket
import pytest
import fairtrial

pytestmark = pytest.mark.benchmark(timer=fairtrial.now)


@pytest.fixture(scope="session")
def wait():
    line = socket.socket(fileno=int(os.environ["FAIRTRIAL_GATE_HANDLE"])).makefile("rw")

    def wait(**says):
        line.write(json.dumps(says) + "\\n")
        line.flush()
        return json.loads(line.readline())

    wait.settings = wait(file=os.path.realpath(fairtrial.__file__), debug=False)
    return wait


@pytest.fixture
def measured(benchmark, wait, request):
    def measure(call):
        number = request.session.items.index(request.node)
        steps = iter(range(1, 10**6))
        wait(place=[number, 0])
        benchmark.extra_info["calls"] = 1
        benchmark.pedantic(call, setup=lambda: wait(place=[number, next(steps)]) and None, rounds=5)

    return measure
"""
BENCH = """
import pytest
from shared import *


def test_work(measured):
    from fairtrial import work

    measured(work)
"""


def checkout(folder: Path, *, ms: float = 1.0, bench: str = BENCH) -> Path:
    """A git repository with src/fairtrial, bench/ and one commit."""
    for path, text in (
        ("src/fairtrial/__init__.py", LIBRARY.format(ms=ms)),
        ("bench/shared.py", TURNS),
        (
            "bench/conftest.py",
            "import sys, pathlib\nsys.path.insert(0, str(pathlib.Path(__file__).parent))\n",
        ),
        ("bench/test_gate.py", bench),
    ):
        write(folder / path, text)
    git(folder, "init", "-q", "-b", "main")
    commit(folder)
    return folder


def change(folder: Path, *, ms: float | None = None, bench: str | None = None, library: str = "") -> None:
    """Another commit."""
    if ms is not None:
        write(folder / "src/fairtrial/__init__.py", LIBRARY.format(ms=ms) + library)
    if bench is not None:
        write(folder / "bench/test_gate.py", bench)
    commit(folder)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def commit(folder: Path) -> str:
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "--allow-empty", "-m", "change")
    return git(folder, "rev-parse", "HEAD")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
