"""Where a record came from: code, versions, machine, flags; what of it must not be mixed in one study."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import fairtrial
from fairtrial.errors import REFUSED, Fault, Problem

PACKAGES: Final = ("torch", "torchvision", "numpy", "scipy", "pandas", "optuna", "matplotlib", "pillow")
ALLOWED_ENV: Final = ("OMP_", "MKL_", "MALLOC_", "CUDA_VISIBLE", "CUBLAS_", "PYTHONHASHSEED", "SLURM_JOB_ID")
UNMIXED: Final = ("fairtrial", "torch", "device", "threads", "kernels")  # one value each per study
BEFORE: Final = {"kernels": "torch"}  # what records mean that were written before a field was


def gather(device: str, threads: int, flags: dict[str, Any], kernels: str = "torch") -> dict[str, Any]:
    """Everything about this process that a reader may ask for later; never the whole environment.

    flags: how torch was set, from the process that imported it. kernels: what "fastest" came to.
    """
    return {
        "fairtrial": fairtrial.__version__,
        "torch": ".".join(_version("torch").split(".")[:2]),
        "device": device,
        "threads": threads,
        "kernels": kernels,
        "flags": flags,
        **_code(),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "environment": {k: v for k, v in sorted(os.environ.items()) if k.startswith(ALLOWED_ENV)},
    }


def refuse_mixing(records: list[dict[str, Any]], mine: dict[str, Any]) -> None:
    """A Fault (exit 4) when a recorded attempt ran under something that must not be mixed with `mine`."""
    problems = []
    for name in UNMIXED:
        values = (record["origin"].get(name, BEFORE.get(name)) for record in records)
        theirs = {str(value) for value in values if value is not None}
        here = mine.get(name)
        if here is not None and theirs - {str(here)}:
            problems.append(
                Problem(
                    f"recorded cells ran with {name} {', '.join(sorted(theirs))}; this run has {here}",
                    "the study's recorded cells",
                    f"run with the same {name}, use another --results folder, or say --allow-mixed",
                )
            )
    if problems:
        raise Fault(problems, REFUSED)


@cache
def _code() -> dict[str, Any]:
    root = Path(fairtrial.__file__).resolve().parents[2]
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "dirty": None}
    changes = _git(root, "diff", "--no-ext-diff", "--no-color", "HEAD", "--", "src", "ablations")
    dirty = hashlib.sha256(changes).hexdigest() if changes else None
    return {"commit": commit.decode().strip(), "dirty": dirty}


def _git(folder: Path, *arguments: str) -> bytes | None:
    if not (folder / ".git").exists():
        return None
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


@cache
def cpu_model() -> str:
    """The processor as the system names it."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
