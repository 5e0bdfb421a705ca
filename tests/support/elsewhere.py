"""The environment of a process on another machine: another processor, locale, time zone, other hashes."""

import os
import platform

from numpy._core._multiarray_umath import __cpu_dispatch__


def elsewhere() -> dict[str, str]:
    """That environment; sums, logarithms and products of matrices end in other bits than here."""
    # where a processor lacks one of them, numpy says so and goes on
    changed = {"NPY_DISABLE_CPU_FEATURES": " ".join(__cpu_dispatch__), "LC_ALL": "C", "TZ": "Asia/Tokyo"}
    if platform.machine() == "x86_64":
        changed["OPENBLAS_CORETYPE"] = "Nehalem"
    hashes = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    return os.environ | changed | {"PYTHONHASHSEED": hashes}
