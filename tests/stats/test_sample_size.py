"""Power and seeds against the tables of section 8; from a pilot to more seeds."""

import math
import time
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from fairtrial.stats import (
    minimal_detectable_effect,
    more_seeds,
    more_to_exclude,
    power,
    seeds_needed,
    tost,
)

EFFECTS = (0.5, 0.8, 1.0, 1.5, 2, 3)
SIZES = (3, 4, 5, 6, 8, 10, 15, 20)


@pytest.mark.parametrize(
    ("paired", "wanted", "seeds"),
    [
        (True, 0.8, (34, 15, 10, 6, 5, 4)),
        (True, 0.9, (44, 19, 13, 7, 5, 4)),
        (False, 0.8, (64, 26, 17, 9, 6, 4)),
        (False, 0.9, (86, 34, 23, 11, 7, 4)),
    ],
)
def test_the_seeds_of_section_8(paired, wanted, seeds):
    assert tuple(seeds_needed(effect, power=wanted, paired=paired) for effect in EFFECTS) == seeds


@pytest.mark.parametrize(
    ("paired", "effects"),
    [
        (True, (3.2640, 2.1279, 1.6820, 1.4345, 1.1560, 0.9960, 0.7780, 0.6604)),
        (False, (3.0709, 2.3808, 2.0244, 1.7955, 1.5066, 1.3249, 1.0598, 0.9091)),
    ],
)
def test_the_detectable_effects_of_section_8(paired, effects):
    got = [minimal_detectable_effect(n, paired=paired) for n in SIZES]
    assert got == pytest.approx(effects, abs=5e-5)


def test_only_the_size_of_the_effect_in_sd_counts():
    assert power(7, 3.0, 2.0) == power(7, 1.5) == power(7, -1.5)


@pytest.mark.parametrize("n", [2, 5, 30])
def test_no_effect_is_found_with_probability_alpha(n):
    assert power(n, 0, alpha=0.03) == pytest.approx(0.03, abs=1e-12)


def test_power_grows_with_n_to_one_and_never_passes_it():
    curve = [power(n, 0.7) for n in (*range(2, 60), 200, 1000)]
    assert all(b >= a for a, b in pairwise(curve))
    assert curve[-1] == pytest.approx(1)
    assert max(curve) <= 1


def test_one_seed_fewer_is_not_enough():
    for effect in (0.1, 0.33, 0.9, 1.7):
        n = seeds_needed(effect)
        assert power(n, effect) >= 0.8 > power(n - 1, effect)


def test_the_detectable_effect_has_the_power_asked_for():
    for n, wanted in ((2, 0.8), (3, 0.5), (12, 0.95)):
        assert power(n, minimal_detectable_effect(n, 1.3, power=wanted), 1.3) == pytest.approx(
            wanted, abs=1e-10
        )


def test_a_large_effect_needs_two_seeds():
    assert seeds_needed(100) == 2


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: power(1, 1), "n is at least 2"),
        (lambda: power(2.5, 1), "n is a whole number"),
        (lambda: power(5, 1, 0), "sd is above 0"),
        (lambda: power(5, math.nan), "effect is finite"),
        (lambda: power(5, 1, alpha=0), "alpha"),
        (lambda: seeds_needed(0), "effect is not 0"),
        (lambda: seeds_needed(1, -1), "sd is above 0"),
        (lambda: seeds_needed(1, power=0.05), "power lies strictly between alpha"),
        (lambda: seeds_needed(0.001), "needs more than 1000000 seeds"),
        (lambda: minimal_detectable_effect(1), "n is at least 2"),
    ],
)
def test_impossible_questions_are_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_a_plan_of_many_contrasts_is_quick():
    start = time.process_time()
    for n in range(2, 22):
        minimal_detectable_effect(n)
    assert time.process_time() - start < 0.5  # about 40 ms where this was written


def test_plug_in_and_conservative_by_the_formula_of_section_8():
    got = more_seeds(5, 1.2, 1.0)
    upper = 1.2 * math.sqrt(4 / stats.chi2.ppf(0.2, 4))
    assert got.sd_upper == pytest.approx(upper)
    assert got.inflation == pytest.approx(upper / 1.2)
    assert (got.n_plugin, got.n_conservative) == (seeds_needed(1.0, 1.2), seeds_needed(1.0, upper))
    assert (got.more_plugin, got.more_conservative) == (got.n_plugin - 5, got.n_conservative - 5)


def test_the_five_seed_limits_of_a_standard_deviation():
    assert more_seeds(5, 1.0, 1.0, sd_confidence=0.975).inflation == pytest.approx(2.87, abs=0.005)
    assert more_seeds(3, 1.0, 1.0, sd_confidence=0.975).inflation == pytest.approx(6.29, abs=0.01)


def test_seeds_already_run_are_never_taken_back():
    got = more_seeds(50, 0.1, 1.0)
    assert (got.more_plugin, got.more_conservative) == (0, 0)


def test_seconds_are_counted_only_when_a_block_has_a_price():
    assert more_seeds(5, 1.2, 1.0).plugin_s is None
    priced = more_seeds(5, 1.2, 1.0, cost_s=60.0)
    assert (priced.plugin_s, priced.conservative_s) == (
        60 * priced.more_plugin,
        60 * priced.more_conservative,
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((2, 1, 1), "n0 is at least 3"), ((5, 0, 1), "sd is above 0"), ((5, 1, 0), "effect is not 0")],
)
def test_a_pilot_that_says_nothing_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        more_seeds(*arguments)


def test_the_seeds_that_exclude_a_margin_do_so_as_often_as_promised():
    found = more_to_exclude(5, 1.0, 0.3, 1.0)
    rng = np.random.default_rng(5)
    hits = [tost(rng.normal(0.3, 1.0, size=found.n_plugin), margin=1.0).equivalent for _ in range(2000)]
    assert 0.77 <= np.mean(hits) <= 0.85
    with pytest.raises(ValueError, match="estimate lies inside the margin"):
        more_to_exclude(5, 1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="more than 1000000 seeds"):
        more_to_exclude(5, 1.0, 0.9999, 1.0)
