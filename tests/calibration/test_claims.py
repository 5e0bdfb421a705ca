"""The window of a check: binomial, wide enough for chance, narrow enough to catch what is wrong."""

from functools import partial

import numpy as np
import pytest
from scipy.stats import binom

from tests.calibration.claims import DRAWS, EXACT, RESAMPLED, Check, judge, window


def chance(rate):
    return lambda rng, draws: rng.random(draws) < rate


@pytest.mark.parametrize("draws", [DRAWS, RESAMPLED, 100])
@pytest.mark.parametrize("claim", [(0.95, 0.95), (0.94, 0.96), (0.05, 0.05), (0.0, 0.05), (1.0, 1.0)])
def test_the_window_is_the_binomial_one_of_section_14(draws, claim):
    low, high = window(claim, draws)
    assert low == max(0, binom.ppf(5e-5, draws, claim[0]))
    assert high == binom.ppf(1 - 5e-5, draws, claim[1])


@pytest.mark.parametrize(("draws", "rate"), [(DRAWS, 0.93), (RESAMPLED, 0.90)])
def test_the_window_catches_what_section_14_says_it_catches(draws, rate):
    low, high = window((0.95, 0.95), draws)
    kept = binom.cdf(high, draws, rate) - binom.cdf(low - 1, draws, rate)
    assert kept < 0.1
    low, high = window((0.95, 0.95), 500)
    assert binom.cdf(high, 500, 0.93) - binom.cdf(low - 1, 500, 0.93) > 0.5  # so fewer draws are not used


@pytest.mark.parametrize(
    ("rate", "known", "ok"),
    [(0.95, None, True), (0.90, None, False), (0.95, 0.90, False), (0.90, 0.90, True)],
)
def test_a_claim_must_hold_and_a_wrong_method_must_not(rate, known, ok):
    found = judge(Check("drawn", (0.95, 0.95), chance(rate), known=known), 0)
    assert found.ok is ok
    assert found.rate == pytest.approx(rate, abs=0.02)


@pytest.mark.parametrize(("share", "ok"), [(0.95, True), (0.9601, False), (0.93, False)])
def test_an_exact_share_is_held_against_the_claim_itself(share, ok):
    found = judge(Check("summed", (0.94, 0.96), lambda *_: np.asarray(share), EXACT), 0)
    assert (found.ok, found.low, found.high) == (ok, 0.94, 0.96)


def test_chance_comes_from_the_seed_and_the_name():
    rates = {judge(Check(name, (0.5, 0.5), chance(0.5)), seed).rate for name in ("a", "b") for seed in (1, 2)}
    assert len(rates) == 4
    again = [judge(Check("a", (0.5, 0.5), chance(0.5)), 1) for _ in range(2)]
    assert again[0] == again[1]


def test_a_measure_that_loses_data_sets_is_refused():
    with pytest.raises(ValueError, match="one truth per data set"):
        judge(Check("short", (0.5, 0.5), lambda rng, draws: rng.random(draws - 1) < 0.5), 0)


def test_exact_checks_draw_nothing():
    check = Check(
        "x", (0.0, 1.0), partial(lambda rng, draws, seen: np.asarray(seen.append(draws) or 0.5), seen=[]), 0
    )
    assert judge(check, 3).draws == 0
