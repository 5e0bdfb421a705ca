"""From a pilot to more seeds."""

import math

import pytest
from scipy import stats

from fairtrial.stats import more_seeds, seeds_needed


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
