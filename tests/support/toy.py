"""Tiny studies over toy jobs: start them, watch their processes, read what they leave."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from inspect import signature
from pathlib import Path
from typing import Any

from fairtrial import failpoints
from fairtrial.storage.record import is_timing
from fairtrial.storage.store import Store
from fairtrial.study.budget import Budget
from fairtrial.study.study import Study
from fairtrial.study.tuning_plan import Tuning

ROOT = Path(__file__).parents[2]
WORKER = str(Path(__file__).with_name("toy_worker.py"))
RUN = str(Path(__file__).with_name("toy_driver.py"))
HANG = {f"{norm} {seed}": "hang" for norm in ("bn", "gn") for seed in range(4)}


def toy_study(
    *, norms=("bn", "gn"), seeds=3, budget="8st", val_per_class=0, tuning=None, **more: Any
) -> Study:
    """Cells of milliseconds; the names of the norms are all that differs. tuning: one, or its fields."""
    if isinstance(tuning, dict):
        tuning = Tuning.of(Tuning({"lr": (0.1, 0.3)}).record() | tuning)
    return Study(
        name="toy",
        question="Does it come back?",
        factors={"norm": tuple(norms)},
        budget=Budget.parse(budget),
        fixed={"resolution": 8, "data": "digits", "val_per_class": val_per_class},
        seeds=tuple(range(seeds)),
        tuning=tuning,
        **more,
    )


class Forked(subprocess.Popen):
    """A driver that is a fork of this process: what this one has imported, it need not import again."""

    def _execute_child(self, args: Any, *rest: Any) -> None:
        how = dict(zip(_EXECUTE, rest, strict=False))
        self.pid = os.fork()
        if self.pid:
            self._child_created = True
            os.close(how["errwrite"])
            return
        try:
            code = _forked(args[1:], how["env"], how["errwrite"])
        except BaseException:
            traceback.print_exc()
            code = 1
        sys.stderr.flush()
        os._exit(code)


_EXECUTE = list(signature(subprocess.Popen._execute_child).parameters)[2:]  # type: ignore[attr-defined]


def _forked(arguments: Sequence[str], environment: dict[str, str], stderr: int) -> int:
    """Be a driver alone: in a session of its own, with no file, handler or variable of the tests."""
    from tests.support import toy_driver

    os.setsid()
    gc.freeze()  # a file of the tests that is collected later would close one of the driver's
    os.dup2(stderr, 2)
    os.closerange(3, 4096)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
        signal.signal(number, handler)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = list(arguments)
    warnings.resetwarnings()
    return toy_driver.main()


def start(
    results: Path, *, study: dict | None = None, toy: dict | None = None, within: Sequence[str] = (),
    kind: type[subprocess.Popen] = subprocess.Popen, **options: Any,
) -> subprocess.Popen:  # fmt: skip
    """A driver in a process group of its own. toy: what cells do, beside environment variables TOY_*.

    within: what stands before the command. kind: a new Python, or one that is `Forked`.
    """
    acts = {name: act for name, act in (toy or {}).items() if not name.startswith(("TOY_", "FAIRTRIAL_"))}
    variables = {
        name: value for name, value in (toy or {}).items() if name.startswith(("TOY_", "FAIRTRIAL_"))
    }
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "TOY": json.dumps(acts), **variables}
    command = [sys.executable, RUN, str(results), json.dumps({"jobs": 2, **options}), json.dumps(study or {})]
    return kind(
        [*within, *command], env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def start_at_work(results: Path, cells: int = 1, **how: Any) -> subprocess.Popen:
    """A driver that has handed out so many cells; they hang, unless `toy` says otherwise."""
    driver = start(results, **{"toy": HANG, **how})
    until(lambda: len(leases(results)) == cells)
    return driver


def run(results: Path, **how: Any) -> tuple[int, str]:
    """Run a driver to its end: exit code and stderr."""
    process = start(results, **how)
    told = process.communicate(timeout=60)[1]
    return process.returncode, told


def slay(driver: subprocess.Popen) -> list[int]:
    """SIGKILL a driver; the jobs that it leaves to end on their own."""
    jobs = children(driver.pid)
    driver.kill()
    driver.wait()  # not until its stderr ends: the jobs hold that too
    assert driver.stderr is not None
    driver.stderr.close()
    return jobs


class HitCounter:
    """In place of a failpoint: writes down each point that a process reaches, and goes on."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def reached(self, name: str, hit: int | None) -> None:
        if name:
            with self.file.open("a") as file:
                file.write(f"{os.getpid()} {name}\n")


def note_hits() -> None:
    """Count the hits of failpoints in this process, where TOY_HITS names a file."""
    if file := os.environ.get("TOY_HITS"):
        failpoints._set = HitCounter(Path(file))  # type: ignore[assignment]


def hits(file: Path) -> dict[str, int]:
    """Failpoint -> the most hits of it in one process."""
    most: Counter[str] = Counter()
    for line, count in Counter(file.read_text().splitlines()).items():
        most[line.split()[1]] = max(most[line.split()[1]], count)
    return dict(most)


def store_of(results: Path) -> Store:
    return Store(results / "toy")


def records(results: Path) -> list[Path]:
    """The attempt files that are visible, unread: a test may look often while a driver works."""
    return sorted((results / "toy" / "cells").glob("*.json"))


def leases(results: Path) -> list[Path]:
    return sorted((results / "toy" / "leases").glob("*.json"))


def table(results: Path, **study: Any) -> list[dict]:
    """The final table without its timing columns."""
    from fairtrial.reporting.results.load import rows  # pandas: drivers and workers do without

    found = rows(toy_study(**study).cells(), store_of(results).attempts())
    return [{name: value for name, value in row.items() if not is_timing(name)} for row in found]


def statuses(results: Path, **study: Any) -> list[str]:
    return [row["status"] for row in table(results, **study)]


def until(condition: Callable[[], Any], seconds: float = 120.0) -> Any:
    """Wait for something to become true; what it became."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
    return found


def children(pid: int) -> list[int]:
    """The processes that a process has started and that still run."""
    try:
        text = "".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(word) for word in text.split()]


def workers_of(driver: int) -> list[int]:
    """The workers of a driver that are up; not a command that it runs for a moment, before its lock."""
    found = []
    for pid in children(driver):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"_worker.py" in command:
            found.append(pid)
    return found


def group(session: int) -> list[int]:
    """The processes of a session that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, number = path.read_text().rsplit(")", 1)[1].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(number) == session and state != "Z":
            found.append(int(path.parent.name))
    return found


def gone(pids: list[int], seconds: float = 10.0) -> bool:
    """Whether all these processes end; a starting job learns of it a little later under load."""
    end = time.monotonic() + seconds
    while any(_runs(pid) for pid in pids):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def acts(monkeypatch: Any, **environment: str) -> None:
    """Set what toy workers are to do."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def ends(results: Path) -> list[tuple[str, str]]:
    """(status, how it ended) of the attempts that have no result."""
    found = [record for record in store_of(results).attempts() if record.error]
    return [(record.status, record.error.what) for record in found]


def pid_of(lease: Path) -> int | None:
    """The process of the worker that a cell is leased to; None when it has just ended."""
    with suppress(FileNotFoundError):
        return json.loads(lease.read_text())["pid"]
    return None


def pids(results: Path) -> list[int]:
    """The processes of the workers that run a cell, by its lease; a record comes before its lease goes."""
    ended = {path.name for path in records(results)}
    return [pid for path in leases(results) if path.name not in ended and (pid := pid_of(path)) is not None]
