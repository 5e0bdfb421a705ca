"""What this machine has and lacks for a study, each lack with what to do about it."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from fairtrial.data.room import amount, free_in_cache, image_bytes
from fairtrial.errors import BAD_INPUT, RESOURCES, USAGE, Fault, Problem
from fairtrial.execution.container import cores
from fairtrial.failpoints import VARIABLE
from fairtrial.installation import ROOT, isolated_python
from fairtrial.kernels.dispatch import choose
from fairtrial.storage.atomic import refuse_without_links
from fairtrial.storage.lock import hold
from fairtrial.storage.provenance import code_of
from fairtrial.study.data_spec import name_of
from fairtrial.study.limits import majority
from fairtrial.study.settings import FACTORS

# extra -> the module that it brings, and what it is for
EXTRAS: Final = {
    "data": ("pyarrow", "parquet files"),
    "bench": ("pytest_benchmark", "the benchmarks in bench/"),
    "ray": ("ray", "many machines: run --ray"),
    "postgres": ("psycopg", "tuning by several drivers"),
    "pdf": ("typst", "the written report as PDF: report --pdf"),
    "mlflow": ("mlflow", "export to MLflow"),
    "tensorboard": ("tensorboard", "export to TensorBoard"),
    "wandb": ("wandb", "export to Weights & Biases"),
    "timm": ("timm", "networks of timm: model=timm:NAME"),
}
OLDEST_TORCH: Final = (2, 6)
LOW_DISK_MB: Final = 100
MOST_CLASSES: Final = 20  # that are named one by one
MOST_SIZES: Final = 5
LARGER: Final = (128, 224)  # pixels, of photographs
IMPORT_S: Final = 60  # seconds that an extra may take to load


def examine(results: Path, data: str | None) -> tuple[dict[str, Any], Fault | None]:
    """What is found, and a Fault with every problem; its exit code is that of the first one."""
    torch, devices = _torch()
    uses, wrong = _data(data)
    folder = next(path for path in (results.absolute(), *results.absolute().parents) if path.is_dir())
    free_mb = shutil.disk_usage(folder).free // 2**20
    lacks = _extra_lacks()
    found = {
        "python": platform.python_version(),
        "torch": torch,
        "cores": cores(),
        "devices": devices,
        "kernels": choose("cpu"),
        "gpu_kernels": {device: choose(device) for device in (found.split()[0] for found in devices)},
        "extras": {extra: extra not in lacks for extra in EXTRAS},
        "extra_lacks": lacks,
        "code": code_of(ROOT),
        "results": str(results),
        "free_mb": free_mb,
        "data": data,
        "data_uses": uses,
        "failpoint": os.environ.get(VARIABLE),
    }
    parts = {
        USAGE: _torch_problems(torch),
        RESOURCES: _folder_problems(folder, free_mb),
        BAD_INPUT: wrong,
    }
    problems = [problem for part in parts.values() for problem in part]
    code = next((code for code, part in parts.items() if part), USAGE)
    return found, Fault(problems, code) if problems else None


def lines(found: dict[str, Any]) -> Iterator[str]:
    """The findings as a person reads them."""
    yield f"python    {found['python']}"
    yield f"torch     {found['torch'] or 'not installed'}"
    yield f"cores     {found['cores']}: so many cells run side by side unless --jobs says otherwise"
    yield f"gpu       {', '.join(found['devices']) or 'none: runs use the CPU'}"
    yield f"kernels   {_kernels(*found['kernels'])}"
    for device, choice in found["gpu_kernels"].items():
        yield f"kernels   on {device}: {_kernels(*choice)}"
    for extra, (_, does) in EXTRAS.items():
        why = found["extra_lacks"].get(extra)
        yield f"extra     {extra:<11} {does}" + (f': {why}; pip install "fairtrial[{extra}]"' if why else "")
    yield f"code      {_code_words(found['code'])}"
    yield f"results   {found['results']} ({found['free_mb']:,} MB free)"
    if found["data"] is not None:
        yield from _data_lines(found["data"], found["data_uses"])
    if found["failpoint"]:
        yield f"failpoint {VARIABLE}={found['failpoint']}: a process fails there on purpose; unset it"


def _extra_lacks() -> dict[str, str]:
    """Import what each extra brings, each in a process of its own -> why some do not work."""
    tried: dict[str, subprocess.Popen[str]] = {}
    for extra, (module, _) in EXTRAS.items():
        if importlib.util.find_spec(module) is not None:
            tried[extra] = subprocess.Popen(
                isolated_python("-c", f"import {module}"),
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
            )  # fmt: skip
    found = {extra: _lack(tried[extra]) if extra in tried else "not installed" for extra in EXTRAS}
    return {extra: why for extra, why in found.items() if why is not None}


def _lack(process: subprocess.Popen[str]) -> str | None:
    try:
        said = process.communicate(timeout=IMPORT_S)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return f"its import does not end within {IMPORT_S} s"
    if not process.returncode:
        return None
    return (said.strip().splitlines() or [f"its import ends with exit code {process.returncode}"])[-1]


def _code_words(code: dict[str, Any]) -> str:
    """What a record would say of the code that made it."""
    if refusal := [word for name, word in code.items() if name not in ("commit", "dirty")]:
        return f"commit {code['commit']}; {refusal[0]}"
    if code["commit"] is None:
        return "no checkout: records name the version alone"
    return f"commit {code['commit'][:12]}" + (", changed since" if code["dirty"] else "")


def _kernels(kernels: str, reason: str | None) -> str:
    return f"{kernels} ({reason}): standardized filters and gn are slower" if reason else kernels


def _torch() -> tuple[str | None, list[str]]:
    """Its version, and the GPUs that it sees."""
    try:
        import torch
    except (ImportError, OSError):  # not there, or its libraries do not fit
        return None, []
    devices = [
        f"cuda:{index} {torch.cuda.get_device_name(index)}" for index in range(torch.cuda.device_count())
    ]
    return str(torch.__version__), devices


def _torch_problems(version: str | None) -> list[Problem]:
    if version is None:
        return [
            Problem("torch is not installed, or does not load", "this environment", "pip install fairtrial")
        ]
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers >= OLDEST_TORCH:
        return []
    what = f"torch {version} is too old: before 2.6 weights_only could be bypassed (CVE-2025-32434)"
    return [Problem(what, "this environment", "pip install 'torch>=2.6'")]


def _folder_problems(folder: Path, free_mb: int) -> list[Problem]:
    if free_mb < LOW_DISK_MB:
        what = f"{free_mb:,} MB are free; {LOW_DISK_MB} are a sensible minimum"
        return [Problem(what, str(folder), "free some space, or give another --results folder")]
    try:
        # what a run needs of the file system: files, hard links, locks
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fairtrial-") as made:
            refuse_without_links(Path(made))
            with hold(Path(made) / "lock"):
                return []
    except OSError as error:
        return [Problem(f"cannot write: {error.strerror}", str(folder), "give a writable --results folder")]
    except Fault as error:
        return [replace(problem, where=str(folder)) for problem in error.problems]


def _data(data: str | None) -> tuple[dict[str, Any], list[Problem]]:
    """What a run would use of the images, and what is wrong with them."""
    if data is None:
        return {}, []
    name_of(data)  # a Fault (exit 2) when the specification has no known form
    from fairtrial.data import examine_dataset

    return examine_dataset(data, FACTORS["resolution"].default)


def _data_lines(name: str, uses: dict[str, Any]) -> Iterator[str]:
    """The data as a person reads it; the name alone where it does not open."""
    if not uses:
        yield f"data      {name}"
        return
    classes = uses["classes"]
    train, test = ([counts[split] for counts in classes.values()] for split in (0, 1))
    yield f"data      {name}: {uses['train']:,} training and {uses['test']:,} test images"
    yield f"          {len(classes)} classes, of each {_span(train)} training and {_span(test)} test images"
    if len(classes) <= MOST_CLASSES:
        yield "          " + ", ".join(f"{label} {n}+{m}" for label, (n, m) in classes.items())
    if (share := majority(test)) is not None:
        largest = max(classes, key=lambda label: classes[label][1])
        yield f"          uneven: always answering {largest} scores {100 * share:.1f} % on the test images"
    if sizes := list(uses["sizes"].items()):
        shown = [f"{size} ({n:,})" for size, n in sizes[:MOST_SIZES]]
        more = ["..."] if len(sizes) > MOST_SIZES else []
        yield f"          sizes {', '.join(shown + more)}; a study resizes all to one"
    sides = (FACTORS["resolution"].default, *LARGER)
    taken = [f"{amount(image_bytes(uses['train'] + uses['test'], side))} at {side} px" for side in sides]
    yield f"          decoded {', '.join(taken)}; {amount(free_in_cache())} are free in the cache"
    for note in uses["notes"]:
        yield f"          {note}"


def _span(counts: list[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
