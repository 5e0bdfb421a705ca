"""One launch: fresh processes that run the gate's benches in turns, and the rounds that they measured."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import IO, Any, Final

from fairtrial.errors import BAD_INPUT, Fault, fault
from fairtrial.execution.worker_pool import MALLOC, THREAD_VARIABLES
from fairtrial.regression.benchmark_reports import CAP, rounds_of
from fairtrial.regression.referee import PATIENCE_S, Line, referee
from fairtrial.storage.atomic import read_json

BLOCK: Final = 4  # pairs of rounds
HANDLE: Final = "FAIRTRIAL_GATE_HANDLE"  # bench/turns.py reads it
_ASIDE: Final = ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTEST_ADDOPTS")  # torch takes long to compile


@dataclass(frozen=True)
class Side:
    """What one process of a launch measures: the library in `src`, slowed by `plant` percent for a proof."""

    name: str
    src: Path
    plant: float = 0.0


@dataclass(frozen=True)
class Bed:
    """Where launches run: the tree that has bench/, a folder for bytecode, device and threads."""

    root: Path
    cache: Path
    device: str = "cpu"
    threads: int = 1
    rounds: int | None = None


@dataclass(frozen=True)
class Launch:
    """What the sides of one launch measured: bench -> seconds per call, one value a round.

    debug: torch is a debug build.
    """

    rounds: tuple[dict[str, list[float]], ...]
    reports: tuple[dict[str, Any], ...]
    debug: bool = False

    def log_ratios(self) -> dict[str, float]:
        """Last side over first: the median over blocks ABBABAAB of the mean log ratio of its pairs of rounds.

        Within a pair one process may have measured just before, while the other waited: where caches are cold
        that is worth 10 %. Over a block it is even.
        """
        base, candidate = self.rounds
        return {name: _of_blocks(base[name], candidate[name]) for name in candidate if name in base}

    def seconds(self) -> dict[str, float]:
        """Seconds per call of the last side, by the median of its rounds."""
        return {name: median(found) for name, found in self.rounds[-1].items()}


def _of_blocks(base: Sequence[float], candidate: Sequence[float]) -> float:
    pairs = [math.log(b / a) for a, b in zip(base, candidate, strict=True)]
    last = max(len(pairs) - BLOCK + 1, 1)
    return median(fmean(pairs[start : start + BLOCK]) for start in range(0, last, BLOCK))


def run(sides: Sequence[Side], bed: Bed, number: int) -> Launch:
    """Launch `number`: one fresh process per side, all alive at once, that take turns round by round."""
    with tempfile.TemporaryDirectory(prefix="fairtrial-gate-") as folder, contextlib.ExitStack() as held:
        reports = [Path(folder) / f"{index}.json" for index in range(len(sides))]
        started = [
            held.enter_context(_process(side, bed, report))
            for side, report in zip(sides, reports, strict=True)
        ]
        debug = _play(sides, started, bed, number)
        output = tuple(each.ended() for each in started)
        texts = tuple(_report(path) for path in reports)
    for side, said, text in zip(sides, output, texts, strict=True):
        if not text.get("benchmarks"):
            raise _silent(side, said)
    found = tuple(rounds_of(text, f"the {side.name} side") for side, text in zip(sides, texts, strict=True))
    return Launch(found, texts, debug)


@dataclass(frozen=True)
class _Started:
    """A process of a launch, the line to it, and the file that takes what it prints."""

    process: subprocess.Popen[bytes]
    line: Line
    printed: IO[bytes]

    def ended(self) -> str:
        """Wait for its end; what it printed, and the signal that ended it."""
        code = self.process.wait(PATIENCE_S)
        self.printed.seek(0)
        said = self.printed.read().decode(errors="replace")
        return f"{said}\nE  ended by signal {-code}" if code < 0 else said


def _play(sides: Sequence[Side], started: Sequence[_Started], bed: Bed, number: int) -> bool:
    """Check which library each process runs, then let them take turns; whether torch is a debug build."""
    lines, debug = [each.line for each in started], False
    for side, each in zip(sides, started, strict=True):
        said = each.line.hear()
        if said is None:
            raise _silent(side, each.ended())
        _check_library(side, Path(said["file"]))
        debug |= said["debug"]
    for side, line in zip(sides, lines, strict=True):
        line.say(plant=side.plant, device=bed.device, rounds=bed.rounds)
    heard = [line.hear() for line in lines]
    for each in started:  # their first bench is built, on as many cores as there are
        _pin(each.process.pid, bed, number)
    referee(lines, heard, flip=number % 2 == 1)
    return debug


def _check_library(side: Side, file: Path) -> None:
    if side.src.resolve() not in file.parents:
        what = f"the {side.name} process runs another fairtrial: {file}"
        do = f"it should be the one in {side.src}; look at PYTHONPATH and at how fairtrial is installed"
        raise fault(what, "the gate", do, BAD_INPUT)


def _pin(pid: int, bed: Bed, number: int) -> None:
    """All processes of a launch on one core, the next launch on the next one: cores differ in speed."""
    if bed.threads == 1 and bed.device == "cpu" and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(pid, {cores[number % len(cores)]})


@contextlib.contextmanager
def _process(side: Side, bed: Bed, report: Path) -> Iterator[_Started]:
    ours, theirs = socket.socketpair()
    printed = tempfile.TemporaryFile()  # noqa: SIM115 (closed below)
    command = [
        sys.executable, "-m", "pytest", "-p", "pytest_benchmark.plugin", "-p", "no:cacheprovider", "-q",
        "-o", "addopts=", "--import-mode=importlib", "--benchmark-only", "--benchmark-disable-gc",
        f"--benchmark-json={report}", "bench/test_gate.py",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=bed.root, env=_environment(side, bed, theirs.fileno()), pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT,
    )  # fmt: skip
    theirs.close()
    line = Line(ours)
    try:
        yield _Started(process, line, printed)
    finally:
        line.close()
        if process.poll() is None:
            process.kill()
        process.wait()
        printed.close()


def _environment(side: Side, bed: Bed, handle: int) -> Mapping[str, str]:
    given = {
        name: value
        for name, value in os.environ.items()
        if name not in _ASIDE and not name.startswith("PYTEST_")
    }
    if "PYTHONDONTWRITEBYTECODE" in os.environ:  # each process would compile torch anew
        given.setdefault("PYTHONPYCACHEPREFIX", str(bed.cache))
    count = str(bed.threads)
    return {**MALLOC, **given} | {
        HANDLE: str(handle),
        "PYTHONPATH": str(side.src),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "FAIRTRIAL_BENCH_THREADS": count,
        **dict.fromkeys(THREAD_VARIABLES, count),
    }  # fmt: skip


def _report(path: Path) -> dict[str, Any]:
    """What the process wrote; nothing where it wrote nothing."""
    try:
        return read_json(path, cap=CAP) if path.stat().st_size else {}
    except FileNotFoundError:
        return {}


def _silent(side: Side, output: str) -> Fault:
    said = [line.strip() for line in output.strip().splitlines()]
    last = " | ".join([line for line in said if line.startswith("E  ")][:3] or said[-2:]) or "no output"
    what = f"no bench ran on the {side.name} side, or all were skipped: nothing to compare"
    return fault(f"{what} ({last})", f"bench/test_gate.py with {side.src}",
                 "run it by hand: pytest bench/test_gate.py", BAD_INPUT)  # fmt: skip
