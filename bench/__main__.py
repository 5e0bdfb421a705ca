"""Runs the benches, and files what they measured: results/bench/<device>/<task>-torch-<version>.json."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairtrial.execution.worker_pool import MALLOC, cores
from fairtrial.storage.atomic import publish

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "bench"


def main(arguments: Sequence[str]) -> int:
    """arguments: pytest's, e.g. -k filters; a selection replaces the file of its task by that selection."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that pytest ends with us
    with tempfile.TemporaryDirectory(prefix="fairtrial-bench-") as folder:
        found = Path(folder) / "found.json"
        command = [sys.executable, "-m", "pytest", str(HERE), "--benchmark-only", "-m", "not slow", "-q"]
        command += ["--benchmark-columns=median,iqr,rounds", f"--benchmark-json={found}", *arguments]
        code = subprocess.run(command, env={**settings(), **os.environ}, check=False).returncode
        if found.exists() and found.stat().st_size:
            for path in filed(json.loads(found.read_text(encoding="utf-8")), RESULTS):
                print(f"wrote {path}")
    return code


def settings() -> dict[str, str]:
    """Memory as a job has it, so that what is timed is what runs; all cores."""
    return {**MALLOC, "FAIRTRIAL_BENCH_THREADS": str(cores())}


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
