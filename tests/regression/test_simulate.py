"""The error rates that the gate promises, at the noise of launches that was measured."""

import pytest

from fairtrial.cli.main import main
from fairtrial.regression.decision import Plan
from fairtrial.regression.gate_options import NOISE
from fairtrial.regression.simulate import LAWS, simulate

GATES = 200


@pytest.mark.parametrize("law", LAWS)
def test_a_tree_against_itself_raises_at_most_one_alarm_in_a_hundred(law):
    found = simulate(Plan(), 0.0, GATES, NOISE / 100, law)
    assert found.alarms <= 0.01 * GATES
    assert found.fine >= 0.9 * GATES


@pytest.mark.parametrize("law", LAWS)
def test_five_percent_are_caught_in_95_of_100(law):
    found = simulate(Plan(), 0.05, GATES, NOISE / 100, law)
    assert found.alarms >= 0.95 * GATES
    assert found.fine == 0


def test_just_what_is_tolerated_alarms_and_passes_at_most_at_alpha():
    found = simulate(Plan(), 0.03, 400, NOISE / 100, "normal")
    assert found.alarms <= 0.05 * 400 and found.fine <= 0.05 * 400


def test_noise_that_is_too_large_is_undecided_not_fine():
    found = simulate(Plan(), 0.05, 50, 0.2, "normal")
    assert found.fine <= 2 and found.undecided >= 45


def test_the_command_prints_rates_with_intervals(capsys):
    assert main(["gate", "--simulate", "10", "--noise", "1"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 1 + 3 * len(LAWS)
    assert "A/A          alarms 0/10 = 0.0% (0.0% to 30.8%)" in out[1]
