"""The table of section 7, row by row, with its refusals and stamps."""

import math

import numpy as np
import pytest

from fairtrial.stats import holm, more_seeds, more_to_exclude, paired_interval, ratio_interval, tost, verdict

TABLE = [
    ((0.2, 0.8), (0.3, 0.7), "different_but_negligible"),
    ((-0.8, -0.2), (-0.7, -0.3), "different_but_negligible"),
    ((0.2, 1.8), (0.3, 1.7), "better"),
    ((-1.8, -0.2), (-1.7, -0.3), "worse"),
    ((-0.2, 0.8), (-0.1, 0.7), "equivalent"),
    ((-0.2, 1.8), (-0.1, 1.7), "inconclusive"),
]


@pytest.mark.parametrize(("difference", "equivalence", "word"), TABLE)
def test_the_table_of_section_7(difference, equivalence, word):
    assert verdict(difference, equivalence, 1.0).verdict == word


@pytest.mark.parametrize(("difference", "equivalence", "word"), TABLE)
def test_where_lower_is_better_the_signs_turn(difference, equivalence, word):
    turned = {"better": "worse", "worse": "better"}.get(word, word)
    got = verdict(difference, equivalence, 1.0, higher_is_better=False)
    assert (got.verdict, got.low, got.high) == (turned, *difference)


@pytest.mark.parametrize(
    ("difference", "equivalence", "word"),
    [
        ((0.0, 0.8), (0.1, 0.7), "equivalent"),  # 0 is not excluded by a limit on it
        ((-0.8, 0.0), (-0.7, -0.1), "equivalent"),
        ((0.2, 1.2), (0.3, 1.0), "better"),  # nor is a limit on the margin inside it
        ((-1.2, -0.2), (-1.0, -0.3), "worse"),
        ((0.0, 1.2), (0.1, 1.0), "inconclusive"),
    ],
)
def test_a_limit_on_0_or_on_the_margin_does_not_count(difference, equivalence, word):
    assert verdict(difference, equivalence, 1.0).verdict == word


def test_without_a_margin_equivalence_is_never_claimed():
    assert verdict((-0.001, 0.001), (-0.0005, 0.0005), None).verdict == "inconclusive"
    assert verdict((0.1, 0.2), None, None).verdict == "better"
    assert "no margin was declared" in verdict((0.1, 0.2), None, None).reason


def test_a_margin_need_not_be_symmetric():
    assert verdict((-0.4, 0.2), (-0.3, 0.1), (-0.2, 1.0)).verdict == "inconclusive"
    assert verdict((-0.4, 0.2), (-0.1, 0.1), (-0.2, 1.0)).verdict == "equivalent"


def test_the_worked_data_are_better_at_95_percent_and_not_negligible(worked):
    got = verdict(paired_interval(*worked), tost(*worked, margin=1.0), 1.0)
    assert (got.verdict, got.level, got.equivalence_level, got.n) == ("better", 0.95, pytest.approx(0.9), 10)
    assert got.estimate == pytest.approx(0.813)
    assert "95 % interval [0.4032, 1.223] excludes 0" in got.reason
    assert "90 % interval [0.4809, 1.145] is not inside the margin [-1, 1]" in got.reason


def test_the_level_of_the_holm_step_decides(worked):
    family = holm([0.2, paired_interval(*worked).p, 0.3], alpha=0.002)
    step = family.at(1)
    got = verdict(paired_interval(*worked, level=step.step_level), tost(*worked, margin=1.0), 1.0, holm=step)
    assert (got.verdict, got.level) == ("inconclusive", pytest.approx(1 - 0.002 / 3))
    assert (got.holm.family, got.holm.step, got.holm.reject) == (3, 1, False)


def test_identical_arms_ask_whether_the_factor_is_consumed():
    x = [0.1, 0.5, 0.7]
    got = verdict(paired_interval(x, x), tost(x, x, margin=1.0), 1.0)
    assert got.verdict == "inconclusive"
    assert "is the factor consumed at all?" in got.reason
    assert got.warnings == ("no interval: zero observed variance",)


def test_no_interval_is_inconclusive_whatever_the_equivalence_interval_says():
    nothing = (-math.inf, math.inf)
    assert verdict(nothing, nothing, 1.0).verdict == "inconclusive"
    assert verdict(nothing, (-0.1, 0.1), 1.0).verdict == "inconclusive"
    assert verdict((0.1, math.inf), (0.1, math.inf), 1.0).verdict == "inconclusive"
    assert verdict((0.1, 0.2), nothing, 1.0).verdict == "better"


@pytest.mark.parametrize(
    ("keywords", "stamps"),
    [
        ({}, ()),
        ({"checkpoints": 1}, ("conditional on this checkpoint",)),
        ({"checkpoints": (4, 1)}, ("conditional on this checkpoint",)),
        ({"checkpoints": 2}, ("conditional on these checkpoints",)),
        ({"checkpoints": 3}, ()),
        ({"declared": False}, ("exploratory",)),
        ({"n": 8, "planned": 10}, ("8 of 10 seeds",)),
        ({"n": 10, "planned": 10}, ()),
        ({"checkpoints": 1, "declared": False}, ("conditional on this checkpoint", "exploratory")),
    ],
)
def test_stamps(keywords, stamps):
    assert verdict((0.2, 1.8), (0.3, 1.7), 1.0, **keywords).stamps == stamps


def test_an_inconclusive_verdict_names_the_seeds_and_the_hours():
    got = verdict((-0.1, 2.0), (0.1, 1.8), 1.0, n=5, sd=1.2, cost_s=600)
    assert got.more == more_seeds(5, 1.2, 0.95, cost_s=600)
    assert f"to decide this effect, {got.more.more_plugin} to {got.more.more_conservative} more" in got.reason
    assert "4.67 device-hours" in got.reason
    assert got.more_margin == more_to_exclude(5, 1.2, 0.95, 1.0, cost_s=600)
    assert "; to exclude the margin, " in got.reason


def test_an_effect_beyond_the_margin_cannot_be_excluded_by_any_number_of_seeds():
    got = verdict((-0.1, 3.0), (0.1, 2.8), 1.0, n=5, sd=1.2)
    assert got.more is not None and got.more_margin is None
    assert "exclude the margin" not in got.reason


def test_n_and_sd_come_from_the_record_and_alpha_from_its_level():
    a, b = [1.0, 2.0, 0.5, 3.0], [1.2, 1.0, 0.7, 2.0]
    difference = paired_interval(a, b, level=0.99)
    got = verdict(difference, tost(a, b, margin=0.5), 0.5)
    assert got.more == more_seeds(4, difference.sd, difference.estimate, alpha=1 - 0.99)


@pytest.mark.parametrize(
    "keywords", [{"n": 2, "sd": 1.0}, {"n": 5, "sd": 0.0}, {"n": 5, "sd": 1e9}, {"n": 5}, {}]
)
def test_seeds_that_cannot_be_counted_are_left_out(keywords):
    got = verdict((-0.1, 2.0), (0.1, 1.8), 1.0, **keywords)
    assert (got.verdict, got.more) == ("inconclusive", None)


def test_only_an_inconclusive_verdict_asks_for_more():
    assert verdict((0.2, 1.8), (0.3, 1.7), 1.0, n=5, sd=1.2).more is None


def test_a_ratio_has_no_0_to_exclude_and_is_refused():
    with pytest.raises(ValueError, match="difference is a ratio"):
        verdict(ratio_interval([1, 2, 3], [1, 3, 2]), None, 0.03)


@pytest.mark.parametrize(
    ("arguments", "keywords", "said"),
    [
        (((1, -1), None, 1), {}, "difference is an interval"),
        (((0, 1), (math.nan, 1), 1), {}, "equivalence is an interval"),
        (((0, 1), None, -1), {}, "margin"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, keywords, said):
    with pytest.raises(ValueError, match=said):
        verdict(*arguments, **keywords)


def test_stamps_and_wishes_speak_of_the_unit_of_the_difference():
    found = paired_interval([1.0, 0.2, -0.5], [0.0] * 3, unit="upstream checkpoint")
    got = verdict(found, (-1.0, 1.5), 0.5, planned=5)
    assert got.verdict == "inconclusive"
    assert got.stamps == ("3 of 5 upstream checkpoints",)
    assert got.more.unit == "upstream checkpoint"
    assert "more upstream checkpoints" in got.reason


def test_equivalences_at_the_margin_are_rarely_claimed_falsely_in_a_family():
    """Seven true equivalences exactly at the margin: at most 5 % of 1 000 families claim one (17.4)."""
    rng, families, size, n = np.random.default_rng(17), 1000, 7, 10
    d = rng.normal(1.0, 1.0, size=(families, size, n))
    false = sum(bool(holm([tost(row, margin=1.0).p for row in family]).reject.any()) for family in d)
    unadjusted = sum(any(tost(row, margin=1.0).equivalent for row in family) for family in d[:200])
    assert false <= 0.05 * families + 2.33 * math.sqrt(0.05 * 0.95 * families)
    assert unadjusted > 0.2 * 200  # what Holm is for


def test_the_printed_equivalence_interval_agrees_with_holm():
    rng = np.random.default_rng(3)
    for _ in range(200):
        family = [rng.normal(rng.uniform(-1, 1), 0.7, size=8) for _ in range(4)]
        steps = holm([tost(d, margin=1.0).p for d in family])
        for i, d in enumerate(family):
            assert tost(d, margin=1.0, alpha=1 - steps.at(i).step_level).equivalent == steps.at(i).reject
