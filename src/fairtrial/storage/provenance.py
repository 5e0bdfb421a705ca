"""Where a record came from: code, versions, machine, flags; what of it must not be mixed in one study."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import fairtrial
from fairtrial.errors import REFUSED, Fault, Problem, fault
from fairtrial.installation import ROOT
from fairtrial.storage.json_fields import Group, Number, Object, Table, Text, Texts, Whole, parse

PACKAGES: Final = ("torch", "torchvision", "numpy", "scipy", "pandas", "optuna", "matplotlib", "pillow")
# By their whole names: a prefix such as OMP_ would let OMP_SECRET into a record that is published.
ENVIRONMENT: Final = (
    "ATEN_CPU_CAPABILITY", "CUBLAS_WORKSPACE_CONFIG", "CUDA_DEVICE_ORDER", "CUDA_LAUNCH_BLOCKING",
    "CUDA_VISIBLE_DEVICES", "DNNL_DEFAULT_FPMATH_MODE", "DNNL_MAX_CPU_ISA", "GLIBC_TUNABLES",
    "GOMP_CPU_AFFINITY", "KMP_AFFINITY", "KMP_BLOCKTIME", "MALLOC_ARENA_MAX", "MALLOC_CONF",
    "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_TRIM_THRESHOLD_", "MKL_CBWR", "MKL_DYNAMIC",
    "MKL_ENABLE_INSTRUCTIONS", "MKL_NUM_THREADS", "NVIDIA_TF32_OVERRIDE", "OMP_DYNAMIC",
    "OMP_MAX_ACTIVE_LEVELS", "OMP_NUM_THREADS", "OMP_PLACES", "OMP_PROC_BIND", "OMP_SCHEDULE",
    "OMP_STACKSIZE", "OMP_THREAD_LIMIT", "OMP_WAIT_POLICY", "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA", "OPENBLAS_NUM_THREADS", "PYTHONHASHSEED", "SLURM_JOB_ID",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)  # fmt: skip
UNKNOWN: Final = "unknown"  # commit or dirty, where git refused to say
LONGEST_S: Final = 120.0  # of one call of git
UNMIXED: Final = ("fairtrial", "torch", "device", "threads", "kernels")  # one value each per study
# What a result may depend on beside the code.
PLACE: Final = ("cpu", "device", "torch", "threads", "kernels", "data")
LIBRARIES: Final = ("torch", "torchvision", "numpy", "pillow")
CODE: Final = ("fairtrial", "commit", "dirty")
_OF_A_MACHINE: Final = ("CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID", "PYTHONHASHSEED")
_NO_CHANGES: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # sha256 of nothing


@dataclass(frozen=True, kw_only=True)
class Provenance(Group):
    """Where it ran (`gather`). kernels: records from before that field ran on those of torch.

    declaration: hash of what was declared then; None in records before schema 3. plugins: name -> digest of
    the files of the user's that the worker executed.
    git: why commit or dirty is unknown. precision: of records from before it was a setting.
    """

    declaration: Text | None = None
    fairtrial: Text | None = None
    torch: Text | None = None
    device: Text | None = None
    threads: Whole | None = None
    kernels: Text = "torch"
    flags: Object | None = None
    commit: Text | None = None
    dirty: Text | None = None
    git: Text | None = None
    precision: Text | None = None
    versions: Table | None = None
    system: Text | None = None
    cpu: Text | None = None
    cores: Whole | None = None
    environment: Table | None = None
    plugins: Table | None = None
    data: Text | None = None
    data_notes: Texts | None = None
    ended: Number | None = None

    @property
    def code(self) -> dict[str, Any]:
        """The code that ran."""
        return {name: getattr(self, name) for name in CODE}

    @property
    def code_words(self) -> str:
        """Return 'fairtrial 0.1.0 commit 8b4f76e modified 01ab2cd': cells of one study have one of it."""
        commit = f"commit {self.commit[:7]}" if self.commit else "commit not recorded"
        changes = f" modified {str(self.dirty)[:7]}" if self.modified else ""
        return f"fairtrial {self.fairtrial} {commit}{changes}"

    @property
    def place(self) -> dict[str, Any]:
        """All beside the code that may change a bit of a result: machine, libraries, flags, environment."""
        versions, environment = self.versions or {}, self.set_environment
        return {
            **{name: getattr(self, name) for name in PLACE},
            **{f"versions.{name}": versions.get(name) for name in LIBRARIES},
            **(self.flags or {}),
            **{f"environment.{name}": value for name, value in environment.items()},
        }

    @property
    def instructions(self) -> str | None:
        """The vector instructions that torch used, by its names."""
        return (self.flags or {}).get("instructions")

    @property
    def set_environment(self) -> dict[str, Any]:
        """The variables that were set, without those that belong to a machine and change no bit."""
        return {n: v for n, v in (self.environment or {}).items() if n not in _OF_A_MACHINE}

    @property
    def modified(self) -> bool:
        """Whether the tree held changes that its commit does not."""
        return bool(self.dirty) and self.dirty != _NO_CHANGES


def gather(device: str, threads: int, flags: dict[str, Any], kernels: str = "torch") -> dict[str, Any]:
    """Everything about this process that a reader may ask for later; never the whole environment.

    flags: how torch was set, from the process that imported it. kernels: what "fastest" came to.
    """
    import platform

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
        "environment": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
    }


def made_under(origin: dict[str, Any]) -> dict[str, Any]:
    """Return code and place of this process. origin: of `gather`."""
    here = _parsed(origin)
    return here.code | here.place


def _parsed(origin: dict[str, Any]) -> Provenance:
    here = parse(Provenance, origin, "origin.", [])
    # it is our own
    assert here is not None
    return here


def refuse_mixing(recorded: list[Provenance], mine: dict[str, Any], *, one_cpu: bool = False) -> None:
    """A Fault (exit 4) when a recorded attempt ran under something that must not be mixed with `mine`.

    one_cpu: the processor too, where seconds of several machines are compared.
    """
    problems = []
    for name in (*UNMIXED, "cpu") if one_cpu else UNMIXED:
        values = (getattr(one, name) for one in recorded)
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


def refuse_other_code(used: Iterable[Provenance], mine: dict[str, Any]) -> None:
    """A Fault (exit 4) when runs that a study counts are of other code than this process's.

    used: of the cells that verdicts rest on; trials may be older. A report on both refuses every verdict.
    """
    here = _parsed(mine).code_words
    others = {origin.code_words: origin for origin in used if origin.code_words != here}
    if others:
        first, *more = others.values()
        known = first.commit and first.commit != UNKNOWN and not first.modified and not more
        back = f"run the rest from commit {str(first.commit)[:7]}, " if known else ""
        raise fault(
            f"mixed code: recorded cells are of {', '.join(sorted(others)[:5])}; this run is of {here}",
            "the study's recorded cells",
            f"{back}use another --results folder, or say --allow-mixed: no verdict is given on both",
            REFUSED,
        )


def refuse_unlike(first: dict[str, Any], other: dict[str, Any], *, one_cpu: bool) -> None:
    """A Fault (exit 4) where two workers of one run differ in what must not be mixed."""
    names = (*UNMIXED, "cpu") if one_cpu else UNMIXED
    for name in (name for name in names if first[name] != other[name]):
        what = f"workers of one run differ: {name} {first[name]} and {other[name]}"
        do = f"run on machines of one {name}, or say --allow-mixed"
        raise fault(what, "the machines of this run", do, REFUSED)
    codes = [_parsed(origin).code_words for origin in (first, other)]
    if codes[0] != codes[1]:
        what = f"workers of one run are of {codes[0]} and of {codes[1]}"
        do = "use the same commit on every machine, and leave src and ablations alone while it runs"
        raise fault(what, "the machines of this run", do, REFUSED)


class GitRefused(Exception):
    """git did not run, or ended with an error; the message is "git refused: " and its words."""


def git(root: Path, *arguments: str) -> bytes | None:
    """Return what git prints about the checkout at `root`; None where there is none; GitRefused on failure.

    It is asked about this checkout alone: the variables GIT_* that a hook exports would name another one, and
    so would a folder above. No hook and no file system monitor of the repository runs.
    """
    if not (root / ".git").exists():
        return None
    import subprocess

    command = ["git", "-C", str(root), "-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_CEILING_DIRECTORIES"] = str(root.resolve().parent)
    try:
        done = subprocess.run(
            [*command, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=LONGEST_S,
            env=environment,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitRefused(f"git refused: {error}") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise GitRefused(f"git refused: {lines[0] if lines else f'exit code {done.returncode}'}")
    return done.stdout


def code_of(root: Path) -> dict[str, Any]:
    """Return commit and digest of the changes (`dirty`, None when clean) of the code at `root`.

    Both are None outside a checkout. What git refuses to tell is UNKNOWN, with the reason under `git`.
    """
    code: dict[str, Any] = {"commit": UNKNOWN, "dirty": UNKNOWN}
    try:
        if (commit := git(root, "rev-parse", "HEAD")) is None:
            return {"commit": None, "dirty": None}
        code["commit"] = commit.decode().strip()
        code["dirty"] = _changes(root)
    except GitRefused as refusal:
        code["git"] = str(refusal)
    return code


def _changes(root: Path) -> str | None:
    """The sha256 of what differs from the commit: tracked files of src and ablations, and new ones of src."""
    plain = ("--no-ext-diff", "--no-textconv", "--no-color")
    changes = git(root, "diff", *plain, "HEAD", "--", "src", "ablations") or b""
    total, dirty = hashlib.sha256(changes), bool(changes)
    new = git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", "src") or b""
    for name in filter(None, new.split(b"\0")):
        path = root / os.fsdecode(name)
        if path.suffix in (".py", ".c") and path.is_file():
            total.update(name + b"\0" + path.read_bytes())
            dirty = True
    return total.hexdigest() if dirty else None


@cache
def _code() -> dict[str, Any]:
    return code_of(ROOT)


def _version(package: str) -> str:
    from importlib import metadata  # it loads half of email and urllib, and most commands ask for no version

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


@cache
def cpu_model() -> str:
    """The processor as the system names it."""
    if sys.platform == "linux":
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        parts = [line.partition(":") for line in lines]
        known = {name.strip(): value.strip() for name, _, value in reversed(parts)}
        if model := known.get("model name"):
            return model
        if part := known.get("CPU part"):  # ARM has no name there
            return f"ARM implementer {known.get('CPU implementer', '?')}, part {part}"
    import platform

    return platform.processor() or platform.machine()
