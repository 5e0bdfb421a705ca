"""What a process that computes is given by the one that starts it: threads, instructions, malloc."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, MutableMapping
from functools import cache
from pathlib import Path
from typing import Final

from fairtrial.python_path import without_empty

MALLOC: Final = {  # glibc would hand each freed tensor of some MB back: a quarter of a step at batch 64
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    # pages of 2 MB where the kernel gives them on request: fewer misses of the TLB in every step
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
_DONTNEED: Final = 4  # of madvise
_HEAD: Final = re.compile(r"[0-9a-f]+-[0-9a-f]+ ")  # of a mapping in smaps
_READ_ONLY: Final = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r-[-x]p \S+ \S+ [1-9]\d* ")  # and of a file
# they would put the threads of every worker on the same cores
BINDING: Final = ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY", "KMP_HW_SUBSET")
THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# vector instructions, by torch's names -> what keeps torch and its oneDNN to them
_FEW: Final = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}
_HELD: Final = {
    "NO AVX": _FEW,
    "DEFAULT": _FEW,
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "AVX512": {"ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "DEFAULT"},
}
CHOOSING: Final = {"ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"}
_PORTABLE: Final = "AVX2"  # that most processors have: with AVX512 the same seeds end in other last digits


def worker_environment(threads: int, device: str) -> dict[str, str]:
    """Return the variables of a worker or a bench; of malloc, instructions and cuBLAS the user's stand."""
    environment = {**MALLOC, **os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
    drop_binding(environment)
    if "PYTHONPATH" in environment:
        environment["PYTHONPATH"] = without_empty(environment["PYTHONPATH"])
    if device != "cpu":  # cuBLAS repeats itself only with a fixed workspace
        environment.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    elif not CHOOSING & environment.keys():
        environment |= kept_to(_PORTABLE)
    return environment


def kept_to(instructions: str | None) -> dict[str, str]:
    """Return what keeps torch and oneDNN to these; nothing where this processor lacks them, or is unknown."""
    best, known = best_instructions(), list(_HELD)
    here = known[: known.index(best) + 1] if best in known else []
    return dict(_HELD[instructions]) if instructions and instructions in here else {}


def instructions_of(environment: Mapping[str, str]) -> str | None:
    """Return what vector instructions torch and oneDNN use under these variables; None: unknown.

    By torch's names; variables that keep the two to different ones are told as they stand.
    """
    chosen = {name: environment[name] for name in sorted(CHOOSING & environment.keys())}
    if not chosen:
        return best_instructions()
    known = (name for name, variables in reversed(_HELD.items()) if variables == chosen)
    return next(known, " ".join(f"{name}={value}" for name, value in chosen.items()))


@cache
def best_instructions() -> str | None:
    """The vector instructions that torch takes here by itself, by its names; None: unknown.

    As in aten/src/ATen/native/DispatchStub.cpp; a variable may keep a process from them.
    """
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(errors="replace").splitlines() if listing.exists() else []
    flags = next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), None)
    if flags is None or not flags >= {"avx2", "fma"}:
        return None if flags is None else "DEFAULT"
    return "AVX512" if flags >= {"avx512f", "avx512vl", "avx512bw", "avx512dq"} else "AVX2"


def drop_binding(environment: MutableMapping[str, str] = os.environ) -> None:
    """Drop what binds threads: a study file that loads torch would bind the driver, and its workers."""
    for name in BINDING:
        environment.pop(name, None)


def unmap_unused_libraries() -> None:
    """Let go of the pages of libraries that only loading has touched, about 200 MB of CUDA's in a CPU worker.

    What is used again comes back from the system's cache; schedulers add up what each process has mapped.
    A mapping that was written to (relocations) is left alone.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes  # the driver does without

    madvise, mapping = ctypes.CDLL(None).madvise, None
    for line in Path("/proc/self/smaps").read_text("utf-8", "replace").splitlines():
        if _HEAD.match(line):
            mapping = _READ_ONLY.match(line)
        elif mapping and re.fullmatch(r"Anonymous: +0 kB", line):
            start, end = int(mapping[1], 16), int(mapping[2], 16)
            madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _DONTNEED)
