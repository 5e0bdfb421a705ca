"""What every engine promises: messages whole and in order, one Exit of each worker, nothing left behind."""

import os
import signal
import time

import pytest

from fairtrial.errors import REFUSED, Fault
from fairtrial.execution.engine import Exit
from fairtrial.execution.local_processes import LocalProcesses
from tests.support.ray_cluster import needs_ray
from tests.support.toy import gone

ECHO = "import sys\nfor line in sys.stdin: sys.stdout.write(line); sys.stdout.flush()"
LAST_WORDS = "import sys; print(sys.stdin.readline(), end='', flush=True); raise SystemExit(3)"
WAIT = "import sys; sys.stdin.readline(); sys.stdin.read()"
STUCK = "import ctypes, sys; print(sys.stdin.readline(), end='', flush=True); ctypes.PyDLL(None).sleep(60)"


@pytest.fixture(params=["processes", pytest.param("ray", marks=needs_ray)])
def engine(request):
    if request.param == "processes":
        made = LocalProcesses(3, 1, "cpu")
    else:
        from fairtrial.execution.ray_engine import RayActors

        made = RayActors(request.getfixturevalue("three_nodes").address, 3, 1, "cpu", alone=False)
    yield made
    made.stop()


def hear(engine, count=1, seconds=60.0):
    heard, end = [], time.monotonic() + seconds
    while len(heard) < count:
        assert time.monotonic() < end, heard
        for each in engine.answers(0.1):
            heard.append(each)
            break  # what else has come is not lost
    return heard


def started(engine, program, number=1):
    """Workers that have answered their first message: a process runs, and its pid is known."""
    workers = [engine.start(("-c", program)) for _ in range(number)]
    for worker in workers:
        engine.give(worker, {"hello": 1})
    assert {worker for worker, _ in hear(engine, number)} == set(workers)
    return workers


def test_messages_arrive_whole_and_in_order(engine):
    worker = engine.start(("-c", ECHO))
    messages = [{"text": "x" * 300_000, "more": "\n"}, *({"number": number} for number in range(20))]
    for message in messages:
        engine.give(worker, message)
    assert hear(engine, 21) == [(worker, message) for message in messages]
    assert list(engine.answers(0.1)) == []


def test_each_worker_gets_its_own_messages_and_answers_for_itself(engine):
    workers = started(engine, ECHO, 3)
    for number, worker in enumerate(workers):
        engine.give(worker, {"number": number})
    answers = dict(hear(engine, 3))
    assert [answers[worker] for worker in workers] == [{"number": number} for number in range(3)]
    assert len({worker.pid for worker in workers}) == 3


def test_what_a_worker_said_comes_before_its_end_and_the_end_comes_once(engine):
    worker = engine.start(("-c", LAST_WORDS))
    engine.give(worker, {"last": "words"})
    said, ended = hear(engine, 2)
    assert said == (worker, {"last": "words"})
    assert ended == (worker, Exit("the worker ended with exit code 3", by_itself=True))
    engine.give(worker, {"too": "late"})
    assert list(engine.answers(0.1)) == []


def test_a_worker_that_is_killed_is_an_end_in_words(engine):
    first, other = started(engine, ECHO, 2)
    os.kill(first.pid, signal.SIGKILL)
    assert hear(engine) == [(first, Exit("the worker was killed by signal 9 (SIGKILL)"))]
    engine.give(other, {"still": "here"})
    assert hear(engine) == [(other, {"still": "here"})]


def test_a_worker_that_is_stopped_ends_although_it_is_stuck_in_a_call(engine):
    (worker,) = started(engine, STUCK)
    engine.stop(worker)
    ((ended, end),) = hear(engine)
    assert ended is worker and isinstance(end, Exit) and not end.by_itself
    assert gone([worker.pid])


def test_when_all_are_stopped_none_is_left(engine):
    pids = [worker.pid for worker in started(engine, ECHO, 2)]
    engine.stop()
    assert gone(pids, 0.5)
    assert list(engine.answers(0.0)) == []
    engine.stop()  # once more is fine
    started(engine, ECHO)  # and so are others


DEVICE = "import json, os; print(json.dumps(os.environ.get('CUDA_VISIBLE_DEVICES')), flush=True); input()"


@needs_ray
def test_each_worker_on_ray_sees_a_gpu_of_its_own(three_nodes):
    from fairtrial.execution.ray_engine import RayActors

    def engine(alone):
        return RayActors(three_nodes.address, None, 1, "cuda", alone=alone)

    with pytest.raises(Fault, match="no machine of the Ray cluster has a GPU") as refused:
        engine(False)
    assert refused.value.code == REFUSED
    three_nodes.add_gpus(2)
    for each in map(engine, (False, True)):  # alone: for a budget in seconds
        assert each.size == 2  # the processors of the other nodes are no place for such a cell
        workers = [each.start(("-c", DEVICE)) for _ in range(2)]
        seen = dict(hear(each, 2))
        each.stop()
        assert sorted(seen[worker] for worker in workers) == ["0", "1"]
        assert {worker.device for worker in workers} == {"cuda:0"}  # the only one that its process sees
