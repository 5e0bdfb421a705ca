"""What a worker does to its own process (what it does with cells: test_runner.py)."""

import subprocess
import sys

import pytest

GREEDY = """
import os
import torch
from fairtrial.execution import worker as job
from fairtrial.errors import out_of_memory

total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
job.MEMORY_SHARE = 3e9 / total
job.limit_memory()
kept = []
try:
    for _ in range(100):
        kept.append(torch.ones(25_000_000))  # 100 MB, written to
except Exception as error:
    print(len(kept), out_of_memory(error))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is the kernel's of Linux")
def test_memory_beyond_the_limit_is_an_error_that_a_cell_can_end_with():
    """Without a limit the kernel would kill the worker, and no record would say why."""
    done = subprocess.run([sys.executable, "-c", GREEDY], capture_output=True, text=True, timeout=120)
    count, told = done.stdout.split()
    assert 5 <= int(count) <= 30 and told == "True", done.stderr
