"""Same machine, versions, threads: the same bits, whatever the jobs, the order of cells, the hash seed."""

import os
import subprocess
import sys

import pytest

from fairtrial.execution.process_environment import CHOOSING, best_instructions
from fairtrial.storage.store import Store

STUDY = """
from fairtrial.study.budget import Budget
from fairtrial.study import Study

STUDY = Study(
    name="bits",
    question="Does anything but chance change a bit?",
    factors={{"weight_std": {weight_std}, "norm": {norm}, "mixup": (0.1,)}},
    fixed={{"resolution": 8, "shots": 8, "batch_size": 16, "val_per_class": 2}},
    budget=Budget(examples=64),
    seeds={seeds},
)
"""
PLAIN = {"weight_std": (False, True), "norm": ("bn", "gn"), "seeds": (0, 1)}
TURNED = {"weight_std": (True, False), "norm": ("ln", "gn", "bn"), "seeds": (1, 0)}  # and grown


RUN = """
import sys
from pathlib import Path
from fairtrial.execution.runner import Options, run
from fairtrial.study.loader import load
sys.exit(run(load(Path("bits.py")), Options(jobs=int(sys.argv[1]))))
"""


def run(folder, jobs, hash_seed, declared):
    """A driver in a process of its own, with real jobs -> cell id -> attempt."""
    folder.mkdir(exist_ok=True)
    (folder / "bits.py").write_text(STUDY.format(**declared))
    own = {name: value for name, value in os.environ.items() if name not in CHOOSING}
    environment = {**own, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", RUN, str(jobs)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {record.cell: record for record in Store(folder / "results" / "bits").attempts()}


@pytest.mark.slow
def test_measured_is_bit_identical_whatever_the_jobs_the_order_of_cells_and_the_hash_seed(tmp_path):
    plain = run(tmp_path / "plain", 1, "0", PLAIN)
    assert len(plain) == 8
    assert len({record.measured.weights_sha256 for record in plain.values()}) == 8  # each arm and seed counts
    best = best_instructions()
    for flags in (record.provenance.flags for record in plain.values()):
        assert flags["processor"] == best
        assert flags["instructions"] == ("AVX2" if best == "AVX512" else best or flags["instructions"])
    turned = run(tmp_path / "turned", 2, "1", TURNED)
    assert len(turned) == 12
    for cell, record in plain.items():
        for part in ("status", "measured", "drawn", "settings"):
            assert turned[cell].as_json()[part] == record.as_json()[part]
