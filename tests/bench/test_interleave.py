"""Turns, and what is written down of them."""

from types import SimpleNamespace

import pytest
import torch

from bench.harness.clock import Clock
from bench.harness.interleave import interleaved, order, peak_memory, raced, record
from bench.harness.roofline import Roof
from bench.harness.workloads import Work


class Pedantic:
    """The part of pytest-benchmark's fixture that a race uses, in its order: set up, then the timed call."""

    def pedantic(self, target, setup, rounds):
        for _ in range(rounds):
            setup()
            target()


def noting(names):
    log = []
    return log, {name: (lambda name=name: log.append(name)) for name in names}


def test_the_order_is_turned_round_after_each_round():
    assert "".join(order(["a", "b", "c"], 3)) == "abccbaabc"


@pytest.mark.parametrize("recorded", ["a", "b", "c"])
@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_pytest_benchmark_times_its_subject_in_the_same_order(recorded, rounds):
    log, subjects = noting("abc")
    seconds = raced(Pedantic(), subjects, recorded, rounds=rounds, calls=1, clock=Clock())
    assert log == list(order(["a", "b", "c"], rounds))
    assert {name: len(values) for name, values in seconds.items()} == dict.fromkeys("abc", rounds)


def test_seconds_belong_to_the_subject_that_took_them():
    now = SimpleNamespace(s=0.0)

    def lasting(seconds):
        def call():
            now.s += seconds

        return call

    found = interleaved({"a": lasting(1.0), "b": lasting(3.0)}, 4, calls=2, clock=Clock(wall=lambda: now.s))
    assert found == {"a": [1.0] * 4, "b": [3.0] * 4}


def test_the_record_holds_raw_rounds_ratios_of_medians_and_the_share_of_the_roofline():
    seconds = {"conv": [1.0, 2.0, 9.0], "fastest": [3.0, 8.0, 4.0]}
    told = record(seconds, Work(50, "by hand", 30), Roof(100.0, 20.0), {"conv": None, "fastest": None})
    assert told["rounds_s"] == seconds
    assert (told["reference"], told["times"]) == ("conv", {"conv": 1.0, "fastest": 2.0})
    assert told["roofline_s"] == 1.5  # 30 / 20 operations, as 50 / 100 bytes would take 0.5 s
    assert told["roofline_share"] == {"conv": 0.75, "fastest": 0.375}


def test_without_work_there_is_no_roofline():
    assert "roofline_s" not in record({"a": [1.0], "b": [1.0]}, None, None, {})


def test_memory_of_a_cpu_is_not_guessed():
    assert peak_memory(lambda: None, torch.device("cpu")) is None


def test_memory_of_a_gpu_is_that_of_the_call(monkeypatch):
    log = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: log.append("reset"))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: log.append("read") or 123)
    assert peak_memory(lambda: log.append("call"), torch.device("cuda")) == 123
    assert log == ["reset", "call", "read"]
