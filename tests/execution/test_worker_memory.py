"""What a worker process holds after one real cell: memory, and no library that only the driver needs."""

import json
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fairtrial.execution.process_environment import worker_environment
from fairtrial.installation import isolated_python
from fairtrial.storage.record import cell_message
from fairtrial.study.budget import Budget
from fairtrial.study.loader import find, load
from tests.support.records import declared_store

MOST_MB = 500
NOT_NEEDED = {
    "pandas",
    "scipy",
    "matplotlib",
    "optuna",
    "sqlalchemy",
    "sklearn",
    "torchvision",
    "sympy",
    "rich",
}
RUN = """
import json, re, sys
from fairtrial.execution import worker

first, message = json.loads(sys.argv[1])
runner = worker.CellRunner(first, lambda doing: None)
status = runner.run(message)["result"]["status"]
memory = int(re.search(r"VmRSS:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) // 1024
loaded = sorted({name.split(".")[0] for name in sys.modules})
print(json.dumps({"status": status, "mb": memory, "loaded": loaded}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_worker_that_ran_a_cell_is_small_and_has_loaded_what_it_needs_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # the images are read anew
    study = replace(load(find("norm")).under("embedded"), budget=Budget(examples=128))  # of 2,048
    store = declared_store(study, tmp_path)
    (cell, *_) = study.provisional().cells()
    first = {
        "device": "cpu", "threads": 1, "download": False, "results": [], "folder": str(store.folder),
        "declaration": store.hashes()[-1], "kernels": None,
    }  # fmt: skip
    message = {
        "cell": cell_message(cell), "attempt": 1, "step_s": 0.01, "way": {},
        "weights_sha256": None, "data_sha256": None,
    }  # fmt: skip
    told = subprocess.run(
        isolated_python("-c", RUN, json.dumps([first, message])),
        env=worker_environment(1, "cpu"), check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    found = json.loads(told.stdout)
    assert found["status"] == "done"
    assert NOT_NEEDED & set(found["loaded"]) == set()
    assert found["mb"] < MOST_MB


HUGE = """
held = [bytearray(b"1" * (16 << 20)) for _ in range(4)]
print(next(line.split()[1] for line in open("/proc/self/smaps_rollup") if line.startswith("AnonHugePages")))
"""


def _gives_huge_pages_on_request() -> bool:
    """Whether the kernel has to be asked for pages of 2 MB, and malloc knows how (glibc 2.35)."""
    pages = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    library, version = platform.libc_ver()
    known = library == "glibc" and tuple(map(int, version.split("."))) >= (2, 35)
    return known and pages.exists() and "[madvise]" in pages.read_text()


@pytest.mark.skipif(
    not _gives_huge_pages_on_request(), reason="no kernel or C library that does it on request"
)
def test_the_memory_of_a_worker_lies_in_huge_pages():
    """Small ones cost a step of mini 7 %; asked for by the environment alone, not by this process."""
    told = subprocess.run(
        isolated_python("-c", HUGE), env=worker_environment(1, "cpu"), check=True, capture_output=True
    )
    assert int(told.stdout) > 16 << 10
