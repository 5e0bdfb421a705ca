"""The error rates that the gate promises, at the noise of launches that was measured."""

import pytest

from fairtrial.regression.decision import Plan
from tests.calibration.gate_rates import LAWS, NOISE, line, simulate

GATES = 200


@pytest.fixture
def rates_of(seed, log_line):
    """rates_of(slowdown, gates, noise, law): drawn gates; their rates stand at the end of the log."""

    def run(slowdown, gates=GATES, noise=NOISE, law="normal"):
        rates = simulate(Plan(), slowdown, gates, noise, law, seed)
        log_line(line(rates))
        return rates

    return run


@pytest.mark.selftest
@pytest.mark.parametrize("law", LAWS)
def test_a_tree_against_itself_raises_at_most_one_alarm_in_a_hundred(law, rates_of):
    rates = rates_of(0.0, law=law)
    assert rates.alarms <= 0.01 * GATES
    assert rates.fine >= 0.9 * GATES


@pytest.mark.selftest
@pytest.mark.parametrize("law", LAWS)
def test_five_percent_are_caught_in_95_of_100(law, rates_of):
    rates = rates_of(0.05, law=law)
    assert rates.alarms >= 0.95 * GATES
    assert rates.fine == 0


@pytest.mark.selftest
def test_just_what_is_tolerated_alarms_and_passes_at_most_at_alpha(rates_of):
    rates = rates_of(0.03, gates=400)
    # 0.05 and three standard errors of 400 gates, as the seed may be any.
    assert rates.alarms <= 0.083 * 400 and rates.fine <= 0.083 * 400


def test_a_tree_against_itself_is_fine_and_five_percent_are_caught(rates_of):
    assert rates_of(0.0, gates=40).alarms == 0
    assert rates_of(0.05, gates=40).fine == 0


def test_noise_that_is_too_large_is_undecided_not_fine(rates_of):
    rates = rates_of(0.05, gates=50, noise=0.2)
    assert rates.fine <= 2 and rates.undecided >= 45
