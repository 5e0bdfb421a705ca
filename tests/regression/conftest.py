"""A small checkout for the gate to judge, and a gate of three launches."""

import re

import pytest

from fairtrial.regression import gate as command
from fairtrial.regression.benchmark_records import rounds_of
from fairtrial.regression.gate import GateOptions, gate
from fairtrial.regression.launch import Launch
from tests.support.gate import checkout


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory):
    """Where the processes of all launches keep what they compile, so that the second one starts at once."""
    return tmp_path_factory.mktemp("bytecode")


@pytest.fixture
def tree(tmp_path, monkeypatch, bytecode):
    """A checkout in which `fairtrial gate` runs: a library, one bench, one commit."""
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(bytecode))
    folder = checkout(tmp_path / "tree")
    monkeypatch.setattr(command, "checkout", lambda: folder)
    return folder


@pytest.fixture
def told():
    """What the gate said on its way."""
    return []


@pytest.fixture
def ask(tmp_path, tree, told):
    """ask(**options): how three launches with a tolerance of 40 % are asked for."""

    def make(**options):
        usual = {"results": tmp_path / "results", "looks": (3,), "tolerance": 0.4, "tell": told.append}
        return GateOptions(**{**usual, **options})

    return make


@pytest.fixture
def judge(ask):
    """judge(**options): such a gate."""
    return lambda **options: gate(ask(**options))


@pytest.fixture
def speed(monkeypatch, tree):
    """Bench -> seconds per call: launches give these at once instead of starting processes."""
    seconds = {"test_work": 0.001}
    monkeypatch.setattr(command, "run", launches(lambda tree: seconds))
    return seconds


@pytest.fixture
def stated(monkeypatch, tree):
    """Launches start no process: each tree takes what its own library states where the gate laid it."""

    def seconds(tree):
        library = (tree.src / "fairtrial/__init__.py").read_text()
        return {"test_work": float(re.search(r"ms=([\d.]+)", library)[1]) / 1000}

    monkeypatch.setattr(command, "run", launches(seconds))


def launches(seconds):
    """A `run` of launches made by hand, from the seconds per call of the benches of a tree."""

    def run(trees, setup, number):
        shift = [1 + 0.01 * (number % 3) + 0.001 * index * (number % 2) for index in range(len(trees))]
        reports = tuple(
            report(seconds(tree), shift[index] * (1 + tree.plant / 100)) for index, tree in enumerate(trees)
        )
        return Launch(tuple(rounds_of(each, "made by hand") for each in reports), reports)

    return run


def report(seconds, factor):
    """What pytest-benchmark writes, as far as the gate reads it: two calls in each of three rounds."""
    rows = []
    for name, second in seconds.items():
        data = [2 * factor * second * shift for shift in (1.0, 1.001, 0.999)]
        stats = {"median": data[0], "ops": 1 / data[0], "data": data}
        rows.append({"name": name, "stats": stats, "extra_info": {"calls": 2}})
    return {"benchmarks": rows}
