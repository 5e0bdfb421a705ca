"""What this machine has and lacks for a study, each line with what to do."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path

from fairtrial.errors import BAD_INPUT, DONE, USAGE, Problem

EXTRAS = {"data": "pyarrow", "stats": "statsmodels", "gpu": "pynvml", "postgres": "psycopg", "ray": "ray"}
OLDEST_TORCH = (2, 6)


def examine(results: Path, data: str | None) -> int:
    """Print what is found; the exit code of the worst of it."""
    import torch

    print(f"python      {sys.version.split()[0]}")
    print(f"torch       {torch.__version__}, {torch.get_num_threads()} threads by default")
    print(f"cores       {len(os.sched_getaffinity(0))}")
    devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    print(f"gpu         {', '.join(devices) or 'none: runs use the CPU'}")
    for extra, module in EXTRAS.items():
        found = importlib.util.find_spec(module) is not None
        print(f"extra {extra:<9} {'installed' if found else f'not installed: pip install "fairtrial[{extra}]"'}")
    problems = [*_torch_problems(torch.__version__), *_results_problems(results)]
    code = USAGE if problems else DONE
    if data is not None:
        from fairtrial.data import check_dataset

        broken = check_dataset(data)
        print(f"data        {data}: {'opens' if not broken else f'{len(broken)} problems'}")
        code = BAD_INPUT if broken else code
        problems += broken
    for problem in problems:
        print(problem.block(), file=sys.stderr)
    return code


def _torch_problems(version: str) -> list[Problem]:
    numbers = tuple(int(part) for part in version.split("+")[0].split(".")[:2])
    if numbers >= OLDEST_TORCH:
        return []
    what = f"torch {version} is too old: before 2.6 weights_only could be bypassed (CVE-2025-32434)"
    return [Problem(what, "this environment", "pip install 'torch>=2.6'")]


def _results_problems(results: Path) -> list[Problem]:
    folder = next((p for p in (results, *results.resolve().parents) if p.exists()), Path("/"))
    free_mb = shutil.disk_usage(folder).free // 2**20
    print(f"results     {results} ({free_mb:,} MB free)")
    try:
        with tempfile.TemporaryFile(dir=folder):
            return []
    except OSError as error:
        return [Problem(f"cannot write: {error.strerror}", str(folder), "give a writable --results folder")]
