"""One launch: fresh processes that run the gate's benches in turns, and the rounds that they measured."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean, median
from typing import IO, Any, Final

from fairtrial.errors import BAD_INPUT, Fault, fault
from fairtrial.execution.process_environment import worker_environment
from fairtrial.installation import isolated_python
from fairtrial.regression.benchmark_records import CAP, identity, rounds_of
from fairtrial.regression.interleaving import PATIENCE_S, Connection, take_turns
from fairtrial.storage.atomic import read_json

BENCHES: Final = "bench/test_gate.py"
BLOCK: Final = 4  # pairs of rounds
HANDLE: Final = "FAIRTRIAL_GATE_HANDLE"  # bench/harness/turns.py reads it
_UNSET: Final = ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTEST_ADDOPTS")  # torch takes long to compile


@dataclass(frozen=True)
class Tree:
    """What one process measures: a tree's library with its own benches, slowed by `plant` percent."""

    name: str
    root: Path
    plant: float = 0.0

    @property
    def src(self) -> Path:
        """Where its library lies."""
        return self.root / "src"


@dataclass(frozen=True)
class Setup:
    """How launches run: the checkout that is judged, a folder for bytecode, device, threads, rounds."""

    root: Path
    cache: Path
    device: str = "cpu"
    threads: int = 1
    rounds: int | None = None

    @cached_property
    def machine(self) -> dict[str, Any]:
        """What may not differ between timings that are compared."""
        return identity(self.device, self.threads)


@dataclass(frozen=True)
class Launch:
    """What the trees of one launch measured: bench -> seconds per call, one value a round.

    debug: torch is a debug build.
    """

    rounds: tuple[dict[str, list[float]], ...]
    reports: tuple[dict[str, Any], ...]
    debug: bool = False

    def log_ratios(self) -> dict[str, float]:
        """Last tree over first: the median over blocks ABBABAAB of the mean log ratio of its pairs of rounds.

        Within a pair one process may have measured just before, while the other waited: where caches are cold
        that is worth 10 %. Over a block it is even.
        """
        base, candidate = self.rounds
        return {name: _of_blocks(base[name], candidate[name]) for name in candidate if name in base}

    def seconds(self) -> dict[str, float]:
        """Seconds per call of the last tree, by the median of its rounds."""
        return {name: median(rounds) for name, rounds in self.rounds[-1].items()}


def _of_blocks(base: Sequence[float], candidate: Sequence[float]) -> float:
    pairs = [math.log(b / a) for a, b in zip(base, candidate, strict=True)]
    last = max(len(pairs) - BLOCK + 1, 1)
    return median(fmean(pairs[start : start + BLOCK]) for start in range(0, last, BLOCK))


def run(trees: Sequence[Tree], setup: Setup, number: int) -> Launch:
    """Run launch `number`: one fresh process per tree, all alive at once, that take turns round by round."""
    with tempfile.TemporaryDirectory(prefix="fairtrial-gate-") as folder, contextlib.ExitStack() as stack:
        paths = [Path(folder) / f"{index}.json" for index in range(len(trees))]
        started = [
            stack.enter_context(_process(tree, setup, path)) for tree, path in zip(trees, paths, strict=True)
        ]
        debug = _measure(trees, started, setup, number)
        printed = [each.ended() for each in started]
        reports = tuple(map(_report, paths))
    for tree, output, report in zip(trees, printed, reports, strict=True):
        if not report.get("benchmarks"):
            raise _silent(tree, output)
    rounds = [rounds_of(report, f"the {tree.name} side") for tree, report in zip(trees, reports, strict=True)]
    return Launch(tuple(rounds), reports, debug)


@dataclass(frozen=True)
class _Started:
    """A process of a launch, the connection to it, and the file that takes what it prints."""

    process: subprocess.Popen[bytes]
    connection: Connection
    printed: IO[bytes]

    def ended(self) -> str:
        """Wait for its end; return what it printed, and the signal that ended it."""
        code = self.process.wait(PATIENCE_S)
        self.printed.seek(0)
        output = self.printed.read().decode(errors="replace")
        return f"{output}\nE  ended by signal {-code}" if code < 0 else output


def _measure(trees: Sequence[Tree], started: Sequence[_Started], setup: Setup, number: int) -> bool:
    """Check which library each process runs, then let them take turns; whether torch is a debug build."""
    debug = False
    for tree, each in zip(trees, started, strict=True):
        message = each.connection.receive()
        if message is None:
            raise _silent(tree, each.ended())
        _check_library(tree, Path(message["file"]))
        debug |= message["debug"]
    connections = [each.connection for each in started]
    for tree, connection in zip(trees, connections, strict=True):
        connection.send(plant=tree.plant, device=setup.device, rounds=setup.rounds)
    messages = [connection.receive() for connection in connections]
    # Their first bench is now built, on as many cores as there are.
    for each in started:
        _pin(each.process.pid, setup, number)
    take_turns(connections, messages, flip=number % 2 == 1)
    return debug


def _check_library(tree: Tree, file: Path) -> None:
    if tree.src.resolve() not in file.parents:
        what = f"the {tree.name} process runs another fairtrial: {file}"
        do = f"it should be the one in {tree.src}; look at PYTHONPATH and at how fairtrial is installed"
        raise fault(what, "the gate", do, BAD_INPUT)


def _pin(pid: int, setup: Setup, number: int) -> None:
    """All processes of a launch on one core, the next launch on the next one: cores differ in speed."""
    if setup.threads == 1 and setup.device == "cpu" and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(pid, {cores[number % len(cores)]})


@contextlib.contextmanager
def _process(tree: Tree, setup: Setup, report: Path) -> Iterator[_Started]:
    ours, theirs = socket.socketpair()
    printed = tempfile.TemporaryFile()  # noqa: SIM115 (closed below)
    command = isolated_python(
        "-m", "pytest", "-p", "pytest_benchmark.plugin", "-p", "no:cacheprovider", "-q",
        "-o", "addopts=", "--import-mode=importlib", "--benchmark-only", "--benchmark-disable-gc",
        f"--benchmark-json={report}", BENCHES,
    )  # fmt: skip
    process = subprocess.Popen(
        command, cwd=tree.root, env=_environment(tree, setup, theirs.fileno()), pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT,
    )  # fmt: skip
    theirs.close()
    connection = Connection(ours)
    try:
        yield _Started(process, connection, printed)
    finally:
        connection.close()
        if process.poll() is None:
            process.kill()
        process.wait()
        printed.close()


def _environment(tree: Tree, setup: Setup, handle: int) -> Mapping[str, str]:
    kept = {
        name: value
        for name, value in worker_environment(setup.threads, setup.device).items()
        if name not in _UNSET and not name.startswith("PYTEST_")
    }
    if "PYTHONDONTWRITEBYTECODE" in os.environ:  # each process would compile torch anew
        kept.setdefault("PYTHONPYCACHEPREFIX", str(setup.cache))
    return kept | {
        HANDLE: str(handle),
        "PYTHONPATH": str(tree.src),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "FAIRTRIAL_BENCH_THREADS": str(setup.threads),
    }


def _report(path: Path) -> dict[str, Any]:
    """What the process wrote; nothing where it wrote nothing."""
    try:
        return read_json(path, cap=CAP) if path.stat().st_size else {}
    except FileNotFoundError:
        return {}


def _silent(tree: Tree, output: str) -> Fault:
    lines = [line.strip() for line in output.strip().splitlines()]
    last = " | ".join([line for line in lines if line.startswith("E  ")][:3] or lines[-2:]) or "no output"
    what = f"no bench ran on the {tree.name} side, or all were skipped: nothing to compare"
    return fault(
        f"{what} ({last})", f"{BENCHES} with {tree.src}", f"run it by hand: pytest {BENCHES}", BAD_INPUT
    )
