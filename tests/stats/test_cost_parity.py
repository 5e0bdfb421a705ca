"""Whether arms cost equal seconds, by simulated runs and launches of a known truth."""

import numpy as np
import pytest

from fairtrial.stats.cost_parity import (
    HELD,
    MOST_ROUNDS,
    OPEN,
    REFUSED,
    ROUNDS,
    cost_parity,
    judge_costs,
    open_arms,
)

NOISE = 0.029  # of a run and of a launch, as a standard deviation of logs
STUDIES = 400
STEPS = 100


def settle(arms, gap, rng):
    """The verdict where the first arm costs more by `gap`: by runs, then by launches while it is open."""

    def noisy(arm):
        return float((1 + gap * (arm == 0)) * np.exp(NOISE * rng.normal()))

    sides = [[(str(arm), seed, noisy(arm), STEPS) for seed in range(5)] for arm in range(arms)]
    times = {str(arm): {} for arm in range(arms)}
    while wanted := open_arms([sides], times):
        for arm in wanted:
            known = len(times[arm])
            assert known < MOST_ROUNDS
            times[arm] |= {known + index: noisy(int(arm)) / STEPS for index in range(ROUNDS)}
    return cost_parity(sides, times).verdict


@pytest.mark.parametrize(("arms", "most_refused"), [(2, 0.05), (4, 0.10)])
def test_equal_arms_are_rarely_refused_and_a_gap_of_5_percent_is_caught(arms, most_refused):
    """Two arms are a contrast, four an interaction; the gap is that of one arm to all others."""
    rng = np.random.default_rng(17)
    equal, apart = ([settle(arms, gap, rng) for _ in range(STUDIES)] for gap in (0.0, 0.05))
    rates = {
        name: (equal.count(name) / STUDIES, apart.count(name) / STUDIES) for name in (HELD, REFUSED, OPEN)
    }
    print(f"{arms} arms, (equal, 5 % apart): {rates}")
    assert rates[REFUSED][0] <= most_refused and rates[REFUSED][1] >= 0.95


def test_the_interval_decides_and_not_the_mean():
    def found(*shares):
        return judge_costs([dict.fromkeys(range(5), 1.0), dict(enumerate(shares))], "runs")

    assert found(1.03, 1.031, 1.029, 1.03, 1.03).verdict == REFUSED
    assert found(1.005, 1.006, 1.004, 1.005, 1.005).verdict == HELD
    wide = found(1.00, 1.10, 0.97, 1.06, 1.02)
    assert wide.verdict == OPEN and wide.low < 1.02 < wide.high
    assert wide.words == f"ratio 1.029 [{wide.low:.3f}, {wide.high:.3f}] by runs"
    assert judge_costs([{0: 1.0}, {0: 3.0}], "runs").words == "ratio 3.000, no interval, by runs"
    assert judge_costs([{0: 1.0}, {0: 3.0}], "runs").verdict == OPEN


def test_a_side_costs_the_mean_of_its_arms_at_the_steps_that_its_runs_took():
    one = [("a", seed, 1.0 + seed / 10, 100) for seed in range(5)] + [
        ("b", seed, 1.0, 300) for seed in range(5)
    ]
    other = [("c", seed, 1.2 - seed / 10, 200) for seed in range(5)]
    times = {
        "a": {0: 0.010, 1: 0.011, 2: 0.012, 3: 0.010},
        "b": {0: 0.004, 1: 0.003, 2: 0.004},
        "c": {0: 0.013, 1: 0.012, 2: 0.014},
    }
    costs = [(100 * times["a"][i] + 300 * times["b"][i]) / 2 for i in range(3)]
    expected = np.exp(np.mean(np.log([200 * times["c"][i] for i in range(3)]) - np.log(costs)))
    found = cost_parity([one, other], times)
    assert (found.source, found.verdict) == ("launches", REFUSED)
    assert found.ratio == pytest.approx(expected)
    assert cost_parity([one, other], {}).source == "runs"
    assert cost_parity([one, []], times) is None
