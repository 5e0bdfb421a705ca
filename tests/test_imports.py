"""What answers at once: `--help`, `plan` and `status` load nothing heavy and take little CPU."""

import resource
import statistics
import subprocess
import sys

import pytest

from fairtrial.storage.store import Store
from tests.support.records import done, publish
from tests.support.studies import study, write

HEAVY = (
    "numpy",
    "torch",
    "torchvision",
    "scipy",
    "pandas",
    "matplotlib",
    "optuna",
    "sklearn",
    "rich",
    "jinja2",
)
COMMANDS = (
    ["--help"],
    ["plan", "--help"],
    ["plan", "norm"],
    ["status", "norm"],
    ["plan", "small.py", "--seeds", "5"],
)
ALLOWED_S = 0.3  # of CPU, beyond the interpreter's start
WITH_NUMPY = """
import sys
from fairtrial.cli.main import main
try:
    main(sys.argv[1:])
finally:
    print(*sorted(set({heavy!r}) & set(sys.modules)), file=sys.stderr)
"""


@pytest.fixture
def results(tmp_path):
    """A study that has recorded cells, as `plan` and `status` usually find one."""
    write(tmp_path)
    store = Store.of(study(), tmp_path / "results")
    with store.locked():
        store.declare(study())
    for cell in study().cells():  # enough seeds for an interval
        publish(store, cell, result=done(0.5 + cell.seed / 100))
    return tmp_path


def python(*arguments, cwd):
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=True
    )


@pytest.mark.parametrize("command", [*COMMANDS, ["status", "small.py"]], ids=" ".join)
def test_nothing_heavy_is_loaded(command, results):
    done = python("-c", WITH_NUMPY.format(heavy=HEAVY), *command, cwd=results)
    assert done.stdout
    assert done.stderr.split() == []


def test_something_heavy_would_be_noticed(results):
    done = python("-c", WITH_NUMPY.format(heavy=HEAVY), "plan", "small.py", "--audit", cwd=results)
    assert done.stderr.split() == ["numpy"]  # the audit opens streams


def cpu_s(arguments, cwd):
    """CPU seconds of one command, as the system booked them."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    python(*arguments, cwd=cwd)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("command", [["--help"], ["plan", "norm"], ["status", "small.py"]], ids=" ".join)
def test_the_answer_takes_little_cpu(command, results):
    start = statistics.median(cpu_s(["-c", "pass"], results) for _ in range(5))
    whole = statistics.median(cpu_s(["-m", "fairtrial", *command], results) for _ in range(5))
    assert whole - start < 2 * ALLOWED_S  # twice: this machine may be busy; a heavy import is caught above


def test_the_package_itself_is_light():
    loaded = python(
        "-c", "import sys; old = set(sys.modules); import fairtrial; print(set(sys.modules) - old)", cwd="/"
    )
    assert loaded.stdout.strip() == "{'fairtrial'}"
