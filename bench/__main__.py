"""Runs the benches, and files what they measured: results/bench/<device>/<task>-torch-<version>.json."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairtrial.execution.container import cores
from fairtrial.execution.process_environment import drop_binding, worker_environment
from fairtrial.storage.atomic import publish

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "bench"


def main(arguments: Sequence[str]) -> int:
    """Run the benches and file their report; the exit code is that of pytest.

    arguments: pytest's, e.g. -k filters; a selection replaces the file of its task by that selection.
    --benchmark-json=FILE asks for a copy of the whole report as well.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--benchmark-json", type=Path)
    asked, rest = parser.parse_known_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that pytest ends with us
    with tempfile.TemporaryDirectory(prefix="fairtrial-bench-") as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-P", "-m", "pytest", str(HERE), "--benchmark-only", "-q"]
        command += ["-m", "not slow", "--benchmark-columns=median,iqr,rounds"]
        command += [f"--benchmark-json={report}", *rest]
        code = subprocess.run(command, env=settings(), check=False).returncode
        if report.exists() and report.stat().st_size:
            for path in filed(json.loads(report.read_text(encoding="utf-8")), RESULTS):
                print(f"wrote {path}")
            if asked.benchmark_json is not None:
                shutil.copy(report, asked.benchmark_json)
    return code


def settings() -> dict[str, str]:
    """Return the variables of a worker on this device, so that what is timed is what runs; all cores."""
    threads = int(os.environ.get("FAIRTRIAL_BENCH_THREADS", cores()))
    drop_binding()  # torch, which knows whether there is a GPU, would bind this process
    from bench.harness.machine import device

    where = str(device())
    given = {"FAIRTRIAL_BENCH_THREADS": str(threads), "FAIRTRIAL_BENCH_DEVICE": where}
    return worker_environment(threads, where) | given


def filed(report: Mapping[str, Any], results: Path) -> list[Path]:
    """Publish a report of pytest-benchmark, one file for each task."""
    told = report["machine_info"]
    folder = results / told["folder"]
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for task in dict.fromkeys(map(task_of, report["benchmarks"])):
        rows = [row for row in report["benchmarks"] if task_of(row) == task]
        paths.append(folder / f"{task}-torch-{told['torch'].partition('+')[0]}.json")
        publish(paths[-1], json.dumps({**report, "benchmarks": rows}, indent=1) + "\n", overwrite=True)
    return paths


def task_of(row: Mapping[str, Any]) -> str:
    """'std-conv' of bench/test_std_conv.py::test_std_conv[...]."""
    return Path(row["fullname"].partition("::")[0]).stem.removeprefix("test_").replace("_", "-")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
