"""OpenMP binds the thread that loads it to one core where a variable asks for that; no worker inherits it."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from fairtrial.execution.container import cores
from fairtrial.execution.process_environment import BINDING

ROOT = Path(__file__).parents[2]
GOMP = next(iter(Path(find_spec("torch").submodule_search_locations[0], "lib").glob("libgomp*")), None)
pytestmark = [
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core"),
    pytest.mark.skipif(GOMP is None, reason="this torch has no libgomp of its own"),
]
# A notebook, or a study file, that has loaded torch; two workers say what they may use.
BOUND = """
import ctypes, json, os, sys
from fairtrial.execution.container import cores
from fairtrial.execution.local_processes import LocalProcesses

ctypes.CDLL(sys.argv[1])
bound = sorted(os.sched_getaffinity(0))
engine = LocalProcesses(2, 1, "cpu")
said = {}
for worker in (engine.start(["-c", sys.argv[2]]), engine.start(["-c", sys.argv[2]])):
    while worker not in said:
        said |= {heard: message for heard, message in engine.answers(1.0) if isinstance(message, list)}
engine.stop()
after = sorted(os.sched_getaffinity(0))
print(json.dumps({"bound": bound, "after": after, "cores": cores(), "workers": list(said.values())}))
"""
ANSWER = "import os; print(sorted(os.sched_getaffinity(0)), flush=True); input()"


@pytest.mark.parametrize("name", BINDING[:3])
def test_workers_of_a_driver_that_is_bound_keep_every_core(name):
    variables = {name: {"OMP_PROC_BIND": "true", "OMP_PLACES": "cores"}.get(name, "0")}
    if name == "OMP_PLACES":
        variables["OMP_PROC_BIND"] = "close"
    done = subprocess.run(
        [sys.executable, "-P", "-c", BOUND, str(GOMP), ANSWER], capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **variables},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    every, said = sorted(os.sched_getaffinity(0)), json.loads(done.stdout)
    assert said["bound"] == said["after"] != every  # or nothing is tested
    assert (said["cores"], said["workers"]) == (cores(), [every, every])


def test_the_program_drops_what_binds_before_it_loads_anything():
    code = "import os; from fairtrial import __main__ as m; m._command = lambda: print(os.environ); m.main()"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **dict.fromkeys(BINDING, "true")},
    )  # fmt: skip
    assert done.stdout and not any(name in done.stdout for name in BINDING), done.stderr
