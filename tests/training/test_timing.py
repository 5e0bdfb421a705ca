"""The ledger of a cell: what is booked to each account, and when the clock is read."""

import time

import pytest

from fairtrial.training.timing import ACCOUNTS, Ledger


class Clock:
    """Moves when it is told to; remembers what was called."""

    def __init__(self):
        self.time, self.calls = 100.0, []

    def now(self):
        self.calls.append("now")
        return self.time

    def synchronize(self):
        self.calls.append("synchronize")


def test_the_ledger_books_each_account_apart():
    clock = Clock()
    ledger = Ledger(clock.now, clock.synchronize)
    for account, seconds in (("train", 3.0), ("eval", 1.0), ("train", 2.0)):
        with ledger.book(account):
            clock.time += seconds
        clock.time += 50  # between two books nothing is counted
    assert ledger.seconds == {**dict.fromkeys(ACCOUNTS, 0.0), "train": 5.0, "eval": 1.0}


def test_the_ledger_synchronizes_before_each_reading():
    clock = Clock()
    with Ledger(clock.now, clock.synchronize).book("train"):
        pass
    assert clock.calls == ["synchronize", "now"] * 2


def test_work_that_fails_is_booked_too():
    clock = Clock()
    ledger = Ledger(clock.now)
    with pytest.raises(RuntimeError), ledger.book("train"):
        clock.time += 4
        raise RuntimeError
    assert ledger.seconds["train"] == 4


def test_two_ledgers_share_nothing():
    first, second = Ledger(), Ledger()
    with first.book("train"):
        pass
    assert second.seconds["train"] == 0.0


def test_a_jump_of_the_wall_clock_is_booked_nowhere(monkeypatch):
    ledger = Ledger()
    with ledger.book("train"):
        monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0 <= ledger.seconds["train"] < 60
    assert Ledger().now is time.perf_counter


def test_what_is_booked_inside_a_block_is_not_in_the_block():
    clock = Clock()
    ledger = Ledger(clock.now)
    with ledger.book("train"):
        clock.time += 3
        with ledger.book("checkpoint"):
            assert ledger.seconds["train"] == 3  # a checkpoint holds the bill up to itself
            clock.time += 10
        clock.time += 4
    assert (ledger.seconds["train"], ledger.seconds["checkpoint"]) == (7, 10)
    ledger.go_on_from({"train": 100, "lost": 1})
    assert (ledger.seconds["train"], ledger.seconds["lost"]) == (107, 1)
