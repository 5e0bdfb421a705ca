"""Turns: who goes when."""

import json
import socket
import threading

import pytest

from fairtrial.errors import RESOURCES, Fault
from fairtrial.regression import interleaving
from fairtrial.regression.interleaving import Connection, take_turns


def play(scripts, flip=False):
    """Give turns to processes that say their script; in which order they went, what they heard."""
    went, threads, connections = [], [], []
    for name, script in scripts.items():
        ours, theirs = socket.socketpair()
        connections.append(Connection(ours))
        threads.append(threading.Thread(target=_process, args=(name, script, theirs, went)))
    for thread in threads:
        thread.start()
    take_turns(connections, [each.receive() for each in connections], flip)
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    for connection in connections:
        connection.close()
    return went


def _process(name, script, end, went):
    with end, end.makefile("rw") as text:
        for says in script:
            text.write(json.dumps(says) + "\n")
            text.flush()
            heard = json.loads(text.readline())
            went.append((name, *says["place"], heard["calls"]))


def steps(*places, **more):
    return [{"place": list(place), **more} for place in places]


def test_rounds_take_turns_in_the_order_of_thue_and_morse():
    script = steps(*((0, step) for step in range(8)))
    assert [who for who, *_ in play({"a": script, "b": script})] == list("abbabaabbaababba")
    assert [who for who, *_ in play({"a": script, "b": script}, flip=True)] == list("baababbaabbabaab")


def test_the_number_of_calls_is_the_larger_wish():
    went = play({"a": steps((0, 1), calls=3), "b": steps((0, 1), calls=7)})
    assert [calls for *_, calls in went] == [7, 7]


def test_a_process_that_lacks_a_bench_waits_at_the_next_one():
    went = play({"a": steps((0, 0), (0, 1), (1, 0)), "b": steps((1, 0))})
    assert went[:2] == [("a", 0, 0, 1), ("a", 0, 1, 1)]
    assert {who for who, *_ in went[2:]} == {"a", "b"}


def test_one_that_ends_early_leaves_the_turns_to_the_other():
    assert [who for who, *_ in play({"a": steps((0, 0)), "b": steps((0, 0), (0, 1), (0, 2))})] == list("abbb")


def test_one_that_never_says_anything_is_a_fault(monkeypatch):
    monkeypatch.setattr(interleaving, "PATIENCE_S", 0.05)
    ours, theirs = socket.socketpair()
    with pytest.raises(Fault) as raised:
        Connection(ours).receive()
    assert raised.value.code == RESOURCES
    theirs.close()
