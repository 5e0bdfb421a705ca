"""What the driver knows: attempts, kills, costs; and which of two endings of an attempt stands."""

import json
import tracemalloc
from dataclasses import replace

import pytest

from fairtrial.execution.attempt_log import AttemptLog
from fairtrial.storage.outcomes import outcomes
from fairtrial.storage.record import attempt_record, cell_message, failure
from fairtrial.study.failure_policy import FailurePolicy
from tests.support.records import declared_store, done, killed, origin_in, publish
from tests.support.toy import toy_study


@pytest.fixture
def cells():
    return toy_study().cells()


@pytest.fixture
def store(tmp_path):
    return declared_store(toy_study(), tmp_path)


def test_a_new_attempt_is_numbered_after_the_last_and_leased(store, cells):
    publish(store, cells[0], 3, killed())
    log = AttemptLog(store)
    assert log.begin(cells[0], 77, origin_in(store)) == 4
    assert log.begin(cells[1], 78, origin_in(store)) == 1
    found = [(lease.cell["id"], lease.number, lease.pid) for lease, _ in store.abandoned()]
    assert sorted(found) == sorted([(cells[0].id, 4, 77), (cells[1].id, 1, 78)])


def test_what_the_worker_published_just_before_it_was_ended_stands(store, cells):
    log = AttemptLog(store)
    attempt = log.begin(cells[0], 77, origin_in(store))
    message = cell_message(cells[0])
    theirs = attempt_record(store.name, message, attempt, done(0.75), origin_in(store))
    store.publish(theirs)  # the driver has not heard of it
    stands = log.close(message, attempt, failure("timeout", "too slow", "driver", 9.0), origin_in(store))
    assert stands == theirs == store.attempts()[0]
    assert log.outcomes() == {cells[0].id: "done"}
    assert log.spent_s == 1.0
    assert store.abandoned() == []


def test_a_late_result_is_not_counted(store, cells):
    log = AttemptLog(store)
    attempt = log.begin(cells[0], 77, origin_in(store))
    message = cell_message(cells[0])
    log.close(message, attempt, failure("timeout", "too slow", "driver", 9.0), origin_in(store))
    assert log.close(message, attempt, done(), origin_in(store)).status == "timeout"
    assert (len(log.records), log.spent_s) == (1, 9.0)


def test_a_study_read_again_gives_the_same_log(store, cells):
    log = AttemptLog(store)
    for cell, result in zip(cells, (done(), killed(), done(0.4, train_s=3.0)), strict=False):
        attempt = log.begin(cell, 1, origin_in(store))
        log.close(cell_message(cell), attempt, result, origin_in(store))
    again = AttemptLog(store)
    assert sorted(again.records, key=lambda r: r.cell) == sorted(log.records, key=lambda r: r.cell)
    assert (again.spent_s, again.outcomes()) == (log.spent_s, log.outcomes()) == (4.5, again.outcomes())


def test_a_log_keeps_little_of_each_attempt(store):
    """Not the answer to each image, and what is equal in many of them once."""
    study, log = toy_study(seeds=200), AttemptLog(store)
    many = json.dumps({f"LIBRARY_{n}": "2.0" for n in range(99)})
    result = done(0.0)
    result["measured"]["test_n"] = 7200 * 6
    tracemalloc.start()
    try:
        cells = study.cells()
        before = tracemalloc.get_traced_memory()[0]
        for cell in cells:
            # a text of its own for each: an empty one is shared
            result["measured"]["correct"] = "".join(["A"] * 7200)
            origin = {**origin_in(store), "versions": json.loads(many)}
            record = attempt_record(store.name, cell_message(cell), 1, result, origin)
            log.note(record)
        del record, origin
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(log.records) == len(cells)
    assert kept / len(cells) < 3000  # bytes, where the file of each has 12 000
    assert {one.measured.correct for one in log.records} == {None}


def test_a_cell_is_given_up_after_three_failed_attempts_whatever_their_kind(store, cells):
    cell, log = cells[0], AttemptLog(store)
    ends = [killed("driver"), killed(), failure("error", "boom", "x.py:1", 0.0), failure("oom", "", "", 0.0)]
    given_up = []
    for attempt, result in enumerate(ends, 1):
        log.note(publish(store, cell, attempt, result))
        given_up.append(log.given_up(cell.id))
    assert given_up == [False, False, False, True]
    (line,) = log.given_up_words(cells)
    assert line == f"{cell.arm}, seed 0 ran out of memory:  (); 3 attempts failed"
    assert log.pending(cells) == cells[1:]  # in their order
    assert log.pending(cells, retry=True) == cells
    log.note(publish(store, cell, 5, done()))
    assert not log.given_up(cell.id) and log.last_failure(cell.id) is None


@pytest.mark.parametrize("status", ["done", "diverged"])
def test_an_outcome_is_never_tried_again_nor_replaced(store, cells, status):
    publish(store, cells[0], 1, done(0.5) if status == "done" else failure(status, "", "", 0.0))
    for attempt in (2, 3, 4):
        publish(store, cells[0], attempt, failure("timeout", "slow", "driver", 1.0))
    publish(store, cells[0], 5, done(0.9))
    log = AttemptLog(store)
    assert cells[0] not in log.pending(cells, retry=True)
    assert log.outcome(cells[0].id).number == outcomes(store.attempts())[cells[0].id].number == 1


def test_an_attempt_that_was_evaluated_is_an_outcome_whatever_is_written_after_it(store, cells):
    late = {**done(0.5), "status": "timeout", "error": {"what": "slow", "where": "driver"}}
    publish(store, cells[0], 1, late)
    assert AttemptLog(store).outcomes() == {cells[0].id: "timeout"}
    assert cells[0] not in AttemptLog(store).pending(cells, retry=True)


def test_a_study_of_memory_takes_out_of_memory_as_an_outcome(store, cells):
    publish(store, cells[0], 1, failure("oom", "", "", 0.0))
    assert AttemptLog(store).pending(cells) == cells
    assert AttemptLog(store, FailurePolicy("outcome")).pending(cells) == cells[1:]


def test_images_are_known_by_data_and_resolution(store, cells):
    publish(store, cells[0], 1, done(data="e" * 64))
    log = AttemptLog(store)
    assert log.data_sha256(cells[1]) == "e" * 64
    other = toy_study(norms=("gn",)).cells()[0]
    # other pixels, so another digest
    other = replace(other, settings=replace(other.settings, resolution=16))
    assert log.data_sha256(other) is None


def test_a_typical_cell_is_one_of_its_arm_or_else_any(store, cells):
    bn, gn = cells[:2]
    assert AttemptLog(store).typical_s(bn) == 0
    publish(store, bn, 1, done(train_s=2.0))
    publish(store, cells[2], 1, done(train_s=4.0))
    assert (AttemptLog(store).typical_s(bn), AttemptLog(store).typical_s(gn)) == (3.0, 3.0)
    publish(store, gn, 1, done(train_s=10.0))
    assert (AttemptLog(store).typical_s(bn), AttemptLog(store).typical_s(gn)) == (3.0, 10.0)


def test_lost_seconds_are_device_seconds(store, cells):
    assert publish(store, cells[0], 1, killed(lost_s=2.5)).spent.device_s == 2.5
