"""The rule of the gate on numbers that can be checked by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from fairtrial.regression.decision import (
    FINE,
    SLOWER,
    UNDECIDED,
    Estimate,
    Plan,
    decide,
    paired,
    plain,
    unpaired,
    until_decided,
)

ONE_LOOK = Plan(tolerance=0.03, alpha=0.05, looks=(8,))
NOISE = np.array([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0])  # mean 0


def state(percent, sd=0.01, plan=ONE_LOOK):
    return decide({"a": paired(math.log1p(percent / 100) + sd * NOISE)}, plan).state


@pytest.mark.parametrize(("percent", "end"), [(0, FINE), (-10, FINE), (5, SLOWER), (3, UNDECIDED)])
def test_a_single_bench_against_the_tolerance(percent, end):
    assert state(percent) == end


def test_a_large_slow_down_in_much_noise_is_undecided():
    assert state(5, sd=0.1) == UNDECIDED
    assert state(0, sd=0.1) == UNDECIDED


def test_p_values_are_those_of_the_one_sided_t_test():
    logs = math.log(1.05) + 0.01 * NOISE[:4]  # of four launches none is trimmed
    (bench,) = decide({"a": paired(logs)}, ONE_LOOK).benches
    bound = math.log(1.03)
    assert bench.p_slower == pytest.approx(stats.ttest_1samp(logs, bound, alternative="greater").pvalue)
    assert bench.p_fine == pytest.approx(stats.ttest_1samp(logs, bound, alternative="less").pvalue)
    low, high = stats.ttest_1samp(logs, 0).confidence_interval(0.95)
    assert (bench.low, bench.high) == (pytest.approx(math.exp(low)), pytest.approx(math.exp(high)))


def test_one_disturbed_launch_among_eight_changes_little():
    logs = 0.01 * NOISE
    logs[3] = 0.3
    assert decide({"a": paired(logs)}, ONE_LOOK).state == FINE


def test_p_of_stored_launches_is_that_of_welch():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.1, 0.02, 9), rng.normal(0, 0.05, 14)
    (bench,) = decide({"a": unpaired(a, b)}, ONE_LOOK).benches
    want = stats.ttest_ind(a - math.log(1.03), b, equal_var=False, alternative="greater").pvalue
    assert bench.p_slower == pytest.approx(want)


def test_holm_asks_more_of_each_bench_the_more_there_are():
    """p = 0.03 alone is an alarm at 0.05, beside three benches that are still it is none."""
    t = stats.t.isf(0.03, 7)
    slow = Estimate(math.log(1.03) + t * 0.01, 0.01, 7, 8)
    still = Estimate(0.0, 0.001, 7, 8)
    assert decide({"a": slow}, ONE_LOOK).state == SLOWER
    crowd = decide({"a": slow, "b": still, "c": still, "d": still}, ONE_LOOK)
    assert crowd.state == UNDECIDED
    assert crowd.benches[0].p_slower == pytest.approx(0.12)
    assert crowd.named(FINE) == ["b", "c", "d"]


def test_each_look_has_its_share_of_alpha():
    t = stats.t.isf(0.03, 7)
    found = {"a": Estimate(math.log(1.03) + t * 0.01, 0.01, 7, 8)}
    assert decide(found, Plan(looks=(8, 16))).state == UNDECIDED


def test_one_slow_bench_is_a_regression_whatever_the_others_do():
    slow, fine, open_ = (paired(math.log1p(x) + s * NOISE) for x, s in ((0.08, 0.01), (0, 0.01), (0, 0.2)))
    decision = decide({"slow": slow, "fine": fine, "open": open_}, ONE_LOOK)
    assert decision.state == SLOWER
    assert [bench.state for bench in decision.benches] == [SLOWER, FINE, UNDECIDED]


@pytest.mark.parametrize("logs", [[0.5, 0.5, 0.5], [0.5, 0.4], [0.0] * 8])
def test_launches_that_do_not_differ_or_are_few_decide_nothing(logs):
    decision = decide({"a": paired(logs)}, ONE_LOOK)
    assert decision.state == UNDECIDED
    assert decision.benches[0].high == math.inf
    assert plain(decision)["benches"][0]["high"] is None


def test_no_bench_at_all_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        decide({}, ONE_LOOK)


def test_launches_go_on_until_a_look_decides():
    plan, asked = Plan(looks=(3, 5, 7)), []

    def launch(number):
        asked.append(number)
        return 0.2 * (-1) ** number if number < 3 else 0.5

    decision = until_decided(plan, launch, lambda rows: {"a": paired(rows)})
    assert asked == list(range(7)) and decision.launches == 7
    asked.clear()
    wave = iter([0.001, -0.001, 0.0] * 9)
    assert (
        until_decided(plan, lambda n: asked.append(n) or next(wave), lambda r: {"a": paired(r)}).state == FINE
    )
    assert asked == [0, 1, 2]
