"""The pool over processes of this machine (what every engine does: test_engines.py)."""

import gc
import os
import sys
import time

import pytest

from fairtrial.errors import Fault
from fairtrial.execution import worker_pool
from fairtrial.execution.container import cores
from fairtrial.execution.engine import Exit
from fairtrial.execution.local_processes import LocalProcesses
from fairtrial.execution.process_environment import THREAD_VARIABLES
from fairtrial.execution.worker_pool import WorkerPool
from tests.support.toy import gone

START = {"device": "cpu"}
ECHO = "import sys\nfor line in sys.stdin: sys.stdout.write(line); sys.stdout.flush()"
WAIT = "import sys; sys.stdin.readline(); sys.stdin.read()"
PIPES = "import os, sys; print([int(n) for n in os.listdir('/proc/self/fd')], flush=True); sys.stdin.read()"


@pytest.fixture
def team(monkeypatch):
    """`team(program, size)` -> a pool whose workers run that program."""
    made = []

    def make(program, size=1, start=START):
        monkeypatch.setattr(worker_pool, "ENTRY", ("-c", program))
        made.append(WorkerPool(LocalProcesses(size, 3, start["device"]), start))
        made[-1].grow(size)
        return made[-1]

    yield make
    for one in made:
        one.stop()


def give(team, worker, message):
    team._engine.give(worker, message)


def hear(team, count=1, seconds=10.0):
    heard, end = [], time.monotonic() + seconds
    while len(heard) < count:
        assert time.monotonic() < end
        heard += team.answers(0.1)
    return heard


def test_a_fault_of_a_worker_is_raised_in_the_driver(team):
    one = team(ECHO)
    hear(one)
    fault = {"code": 3, "problems": [{"what": "w", "where": "x", "do": "y"}]}
    give(one, one.workers[0], {"fault": fault})
    with pytest.raises(Fault, match="w") as told:
        hear(one)
    assert (told.value.code, told.value.problems[0].do) == (3, "y")


def test_what_a_worker_is_at_is_told_while_it_opens_data(team):
    says = 'print(\'{"doing": "12 of 170 MB"}\', flush=True); time.sleep(1)'
    one = team(f"import sys, time; input(); input(); {says}; print('{{}}', flush=True); sys.stdin.read()")
    (worker,), told = one.workers, []
    worker.doing = "loading my_norm.py"  # told before
    assert one.look(worker, [], None, told.append)
    assert set(told) == {"12 of 170 MB"}


def test_a_worker_that_ends_itself_before_it_is_ready_is_refused_and_a_killed_one_the_third_time(team):
    one = team("raise SystemExit(3)")
    with pytest.raises(Fault, match="could not start: the worker ended with exit code 3") as refused:
        hear(one)
    assert refused.value.code == 4
    one = team("import os; os.kill(os.getpid(), 9)")
    for _ in range(2):
        assert isinstance(hear(one)[0][1], Exit)
        one.grow(1)
    with pytest.raises(Fault, match="SIGKILL"):
        hear(one)


def test_a_worker_inherits_no_pipe_of_another(team):
    three = team(PIPES, 3)
    assert [handles for _, handles in hear(three, 3)] == [[0, 1, 2, 3]] * 3  # 3 is the listing itself


def test_stopped_workers_are_gone(team):
    two = team(WAIT, 2)
    pids = [worker.pid for worker in two.workers]
    two.stop()
    assert gone(pids, 0.1)
    assert (two.workers, list(two.answers(0.0))) == ([], [])


def test_a_pool_grows_to_what_is_wanted_and_no_further_than_its_size(team):
    two = team(WAIT, 2)
    two.grow(5)
    assert len(two.workers) == 2
    assert two.free() == two.busy() == []  # none is ready
    first, second = two.workers
    first.origin = second.origin = {"device": "cpu"}
    two.give(first, "a cell", 1, {})
    assert (two.busy(), two.free()) == ([(first, "a cell")], [second])
    two.stop(second, "too slow")
    assert two.free() == []  # it is on its way out


def test_each_device_gets_one_worker_and_a_new_one_takes_the_free_device(team):
    two = team(ECHO, 2, {"device": "cuda:0,cuda:1"})
    assert {message["device"] for _, message in hear(two, 2)} == {"cuda:0", "cuda:1"}
    lost = two.workers[0]
    os.kill(lost.pid, 9)
    assert hear(two)[0][0] is lost
    two.grow(2)
    assert hear(two)[0][1] == {"device": lost.device, "kernels": None}


READY = """
import json, sys
first = json.loads(sys.stdin.readline())
tried = {} if first["kernels"] else {"kernels": ["torch", "it hangs"]}
print(json.dumps({"origin": first, **tried}), flush=True)
sys.stdin.read()
"""


def test_the_first_worker_of_a_device_tries_the_kernels_and_the_others_get_its_answer(team, capfd):
    four = team(READY, 4, {"device": "cuda:0,cuda:1"})
    heard = [(worker.device, message["origin"]["kernels"]) for worker, message in hear(four, 4)]
    told = ["torch", "it hangs"]
    assert sorted(heard, key=str) == sorted(
        [(device, kernels) for device in ("cuda:0", "cuda:1") for kernels in (None, told)], key=str
    )
    said = capfd.readouterr().err.splitlines()
    assert said == ["kernels: torch's own, which are slower: it hangs"] * 2  # once for each device


def test_another_worker_tries_the_kernels_when_the_first_one_has_died(team):
    two = team(WAIT, 2)
    assert [worker.begun for worker in two.workers] == [True, False]
    os.kill(two.workers[0].pid, 9)
    assert isinstance(hear(two)[0][1], Exit)
    two.grow(2)
    assert [worker.begun for worker in two.workers] == [True, False]


def test_threads_and_cublas_are_set_in_the_environment_of_a_worker(team):
    tell = "import json, os; print(json.dumps(dict(os.environ)), flush=True)"
    environment = hear(team(tell))[0][1]
    assert [environment[name] for name in THREAD_VARIABLES] == ["3"] * 3
    assert "CUBLAS_WORKSPACE_CONFIG" not in environment
    assert hear(team(tell, start={"device": "cuda:0"}))[0][1]["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_a_process_that_cannot_be_started_is_exit_6(team, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(Fault, match="could not start a worker process") as stopped:
        team(WAIT)
    assert stopped.value.code == 6


def test_pipes_are_closed_with_the_pool(team):
    gc.collect()  # what earlier tests have left open
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(5):
        with team(WAIT, 2):
            pass
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_cores_are_those_this_process_may_use(monkeypatch):
    assert cores() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1
