"""Time to target with misses."""

import math

import numpy as np
import pytest

from fairtrial.stats import clopper_pearson, paired_interval, sign_flip_p, time_to_target

A = {0: 30.0, 1: 45.0, 2: math.inf, 3: 50.0, 4: 20.0}
B = {0: 60.0, 1: 70.0, 2: 80.0, 3: math.inf, 4: 150.0}


def test_misses_count_as_the_budget():
    got = time_to_target(A, B, 100)
    cut_a, cut_b = [30, 45, 100, 50, 20], [60, 70, 80, 100, 100]
    want = paired_interval(cut_a, cut_b)
    assert (got.rmst_a, got.rmst_b) == (49, 82)
    assert (got.estimate, got.low, got.high, got.p) == (want.estimate, want.low, want.high, want.p)
    assert got.sign_flip_p == sign_flip_p(np.subtract(cut_a, cut_b)).p


def test_the_median_takes_a_miss_as_infinite():
    got = time_to_target(A, B, 100)
    assert (got.median_a, got.median_b) == (45, 80)
    late = time_to_target([1, math.inf, math.inf], [1, 2, 4], 10)
    assert late.median_a == math.inf
    assert late.record()["median_a"] is None


def test_reached_is_counted_with_clopper_pearson():
    got = time_to_target(A, B, 100)
    assert (got.reached_a, got.reached_b) == (clopper_pearson(4, 5), clopper_pearson(3, 5))


def test_a_flag_overrules_the_time():
    got = time_to_target(A, B, 100, reached_a={4: 0, 3: 1, 2: 1, 1: 1, 0: 1})
    assert got.reached_a.k == 3  # seed 2 missed by its time, seed 4 by its flag
    assert got.rmst_a == (30 + 45 + 100 + 50 + 100) / 5


def test_a_time_equal_to_the_budget_is_in_time():
    assert time_to_target([10, 5, 2], [1, 2, 4], 10).reached_a.k == 3


def test_when_nobody_arrives_both_means_are_the_budget():
    got = time_to_target([math.inf] * 4, [200] * 4, 100)
    assert (got.rmst_a, got.rmst_b, got.estimate) == (100, 100, 0)
    assert (got.low, got.high, got.p) == (-math.inf, math.inf, 1)
    assert got.warnings[0] == "nobody reached the target: both means are the budget"


def test_many_seeds_need_a_generator_for_the_sign_flips():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(1, 9, size=25), rng.uniform(1, 9, size=25)
    assert time_to_target(a, b, 10).sign_flip_p is None
    assert 0 < time_to_target(a, b, 10, rng=1).sign_flip_p <= 1


@pytest.mark.parametrize(
    ("a", "b", "budget", "said"),
    [
        ({0: 1.0}, {1: 1.0}, 10, "a and b differ in seeds"),
        ([-1.0, 2.0], [1.0, 2.0], 10, r"a holds times of at least 0; not so at \[0\]"),
        ([1.0, math.nan], [1.0, 2.0], 10, "a is not finite"),
        ([1.0], [1.0], 0, "budget is above 0"),
        ([1.0], [1.0], math.inf, "budget is above 0"),
    ],
)
def test_times_that_make_no_sense_are_refused(a, b, budget, said):
    with pytest.raises(ValueError, match=said):
        time_to_target(a, b, budget)
