"""Real gates in number: what is mixed, counted, written down."""

import json
from collections import Counter

import pytest

from fairtrial.errors import DONE, FAILED_CELLS
from tests.calibration import prove_gate
from tests.calibration.prove_gate import holds, mixed, prove, rates


def rows(aa=(), planted=()):
    return [
        {"planted": kind, "state": state, "seconds": 1.0}
        for kind, states in ((False, aa), (True, planted))
        for state in states
    ]


def test_planted_gates_are_spread_among_the_plain_ones():
    order = mixed(30, 10)
    assert Counter(order) == {False: 30, True: 10}
    assert all(sum(order[i : i + 4]) == 1 for i in range(0, 40, 4))
    assert mixed(0, 2) == [True, True] and mixed(2, 0) == [False, False]


@pytest.mark.parametrize(
    ("aa", "planted", "good"),
    [
        (["fine"] * 29 + ["slower"], ["slower"] * 9 + ["undecided"], True),
        (["fine"] * 28 + ["slower"] * 2, [], False),
        ([], ["slower"] * 8 + ["undecided"] * 2, False),
        (["undecided"] * 3, [], True),
        (["slower"] * 3, [], False),
    ],
)
def test_at_most_one_alarm_in_thirty_and_nine_of_ten_caught(aa, planted, good):
    assert holds(rows(aa, planted)) is good


def test_rates_have_exact_intervals():
    found = rates(rows(["fine"] * 30))
    assert found["planted"] is None
    assert (found["aa"]["alarms"], found["aa"]["low"]) == (0, 0)
    assert found["aa"]["high"] == pytest.approx(1 - 0.025 ** (1 / 30))


def test_the_record_is_there_after_each_gate(ask, speed, monkeypatch):
    seen = []
    real = prove_gate.publish
    monkeypatch.setattr(prove_gate, "publish", lambda *a, **k: (real(*a, **k), seen.append(json.loads(a[1]))))
    outcome = prove(ask(tolerance=0.03), 2, 1)
    assert [len(each["gates"]) for each in seen] == [1, 2, 3]
    assert outcome.code == DONE
    assert outcome.facts["aa"]["fine"] == 2 and outcome.facts["planted"]["alarms"] == 1
    assert len(seen[-1]["gates"][0]["log_ratios"]) == 3


def test_a_plant_that_is_missed_is_said_by_the_exit_code(ask, speed):
    assert prove(ask(tolerance=0.5), 0, 1).code == FAILED_CELLS
