"""Who leads along a schedule: planted curves whose crossing is known by hand, by steps and by seconds."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from scipy.stats import t as student

from fairtrial.reporting.results import load
from fairtrial.reporting.verdicts.learning_curve_crossover import (
    IMAGES,
    SECONDS,
    STEPS,
    find_crossovers,
    find_gaps,
    find_sign_changes,
    find_undecided,
)
from fairtrial.study.study import Contrast
from tests.reporting.crossing_curves import JITTER, QUARTERS, STEPS_MADE, planted, told
from tests.reporting.judging import BN


def test_sign_changes_by_hand():
    assert find_sign_changes([0, 1, 2], [1, -1, -3]) == [0.5]
    assert find_sign_changes([0, 1, 2, 4], [3, -1, -1, 1]) == [0.75, 3.0]
    assert find_sign_changes([0, 1, 2], [1, 0, -1]) == [1]
    assert find_sign_changes([0, 1, 3, 4], [1, 0, 0, -1]) == [2]  # a stretch at 0: its middle
    assert find_sign_changes([0, 1, 2], [1, 0, 1]) == find_sign_changes([0, 1], [0, 0]) == []


def test_where_a_band_contains_0_by_hand():
    assert find_undecided([0, 1], [1, -3], [2, -1]) == [(0.25, pytest.approx(2 / 3))]
    assert find_undecided([0, 1, 2], [-1, -1, 1], [1, 1, 3]) == [(0, 1.5)]
    assert find_undecided([0, 1], [1, 2], [3, 4]) == []
    assert find_undecided([0, 1, 2, 3], [-1, 1, 1, -1], [1, 2, 2, 1]) == [(0, 0.5), (2.5, 3)]
    (open_,) = find_undecided([0, 1, 2], [1, -math.inf, 1], [2, math.inf, 2])  # a point without variance
    assert open_ == pytest.approx((0, 2), abs=1e-6)
    assert find_gaps([(1, 2)], 0, 3) == [(0, 1), (2, 3)]
    assert find_gaps([(0, 2)], 0, 3) == [(2, 3)] and find_gaps([(0, 3)], 0, 3) == []


def test_the_crossing_is_where_it_was_planted_at_a_step_and_at_a_second(planted_curves):
    steps, seconds = planted_curves(planted())
    assert (steps.clock, seconds.clock) == (STEPS, SECONDS)
    assert steps.places.tolist() == [192, 384, 576, 768]
    assert steps.mean == pytest.approx([0.15 - 0.24 * part for part in QUARTERS])
    assert steps.changes == pytest.approx([0.625 * STEPS_MADE])  # 0.15 = 0.24 f
    # By seconds t: 0.65 + 0.16 t/6 against 0.5 + 0.4 t/4, within 1.5 s (a quarter of 6) and 4 s.
    assert seconds.range == (1.5, 4.0) and len(seconds.places) == 4
    assert seconds.mean == pytest.approx([0.15 + (0.16 / 6 - 0.1) * t for t in seconds.places])
    assert seconds.changes == pytest.approx([0.15 / (0.1 - 0.16 / 6)])


def test_the_confidence_set_is_where_the_simultaneous_band_contains_0(planted_curves):
    steps, _ = planted_curves(planted())
    sd = JITTER * math.sqrt(10 / 9)  # five seeds up, five down
    half = student.ppf(1 - 0.05 / (2 * 4), 9) * sd / math.sqrt(10)
    (span,) = steps.undecided
    assert span == pytest.approx([STEPS_MADE * (0.15 - side * half) / 0.24 for side in (1, -1)])
    assert steps.crosses and steps.ahead == [1, 1, -1, -1]
    assert told(steps) == (
        f"the lead changes hands at step 480 (confidence set: steps {span[0]:.0f} to {span[1]:.0f})"
    )


def test_a_faster_arm_may_lead_at_every_second_though_not_at_every_step(planted_curves):
    steps, seconds = planted_curves(
        planted(seconds=(4.0, 8.0))
    )  # by seconds 0.15 + 0.04 t - 0.05 t, up to 4 s
    assert steps.crosses and told(seconds) == "gn+ws leads at every point" and not seconds.undecided


def test_an_arm_that_leads_throughout_is_said_to(planted_curves):
    assert [told(curve) for curve in planted_curves(planted((0.3, 0.4)))] == ["bn leads at every point"] * 2
    assert [told(curve) for curve in planted_curves(planted((0.6, 0.35), (0.3, 0.4)))] == [
        "gn+ws leads at every point"
    ] * 2


def test_a_band_that_never_excludes_0_on_both_sides_shows_no_crossing(planted_curves):
    wide = [told(curve) for curve in planted_curves(planted((0.5, 0.16), (0.35, 0.4), jitter=0.2))]
    assert wide == ["no crossing shown: the band contains 0 at every point"] * 2
    steps, _ = planted_curves(planted((0.6, 0.2), (0.59, 0.22)))  # 0.01 - 0.02 f, give or take half a point
    assert re.fullmatch(
        r"no crossing shown: gn\+ws leads at steps 192 to \d+, and elsewhere the band contains 0",
        told(planted_curves(planted((0.6, 0.2), (0.58, 0.22)))[0]),
    )
    assert steps.changes == pytest.approx([384]) and not steps.crosses


def test_a_missing_run_takes_the_interval_away_unless_partial(make_study, publish):
    outcome = planted()
    store = publish(make_study(aa=None), lambda cell: None if cell.seed == 9 else outcome(cell))
    results = load.load(store)
    assert all(
        curve.band is None and len(curve.runs) == 9 for curve in find_crossovers(results, False)[0].curves
    )
    assert all(curve.band.n == 9 for curve in find_crossovers(results, True)[0].curves)


def test_a_look_has_its_share_of_alpha_and_a_reading_after_every_seed_has_no_band(planted_curves):
    steps, _ = planted_curves(planted(), stop="looks:5,10")
    assert steps.band.level == pytest.approx(0.975) and steps.band.n in (5, 10)
    steps, _ = planted_curves(planted(), stop="sequence")
    assert steps.band is None


def test_arms_of_different_batches_meet_at_equal_images(planted_curves):
    batches = Contrast("batches", {"batch_size": 4}, {"batch_size": 64})
    images, seconds = planted_curves(planted(), primary=batches, factors={"batch_size": (4, 64)}, fixed=BN)
    assert images.clock == IMAGES and images.places.tolist() == [768, 1536, 2304, 3072]
    assert images.mean == pytest.approx([0] * 4) and seconds.clock == SECONDS


def bands(mean, seeds, rng, draws=20_000):
    """Simultaneous limits of many made-up studies: (draws, points)."""
    runs = mean[:, None] + rng.normal(size=(draws, len(mean), seeds))
    centre, factor = runs.mean(axis=-1), student.ppf(1 - 0.05 / (2 * len(mean)), seeds - 1)
    half = factor * runs.std(axis=-1, ddof=1) / math.sqrt(seeds)
    return centre - half, centre + half


@pytest.mark.parametrize("seeds", [3, 10])
def test_the_confidence_set_covers_a_known_crossing_at_its_rate(seeds):
    rng = np.random.default_rng(20)
    mean = np.array([2.0, 0.0, -1.0, -2.0])  # the lead changes hands at the second of four points
    low, high = bands(mean, seeds, rng)
    covered = (low[:, 1] <= 0) & (high[:, 1] >= 0)
    assert covered.mean() == pytest.approx(1 - 0.05 / 4, abs=4 * math.sqrt(0.0125 * 0.9875 / 20_000))
    sets = [find_undecided(range(4), *limits) for limits in zip(low[:500], high[:500], strict=True)]
    assert [any(at <= 1 <= to for at, to in each) for each in sets] == covered[:500].tolist()


@pytest.mark.parametrize("seeds", [3, 10])
def test_all_places_of_arms_that_are_alike_are_covered_at_once_at_95_percent(seeds):
    low, high = bands(np.zeros(4), seeds, np.random.default_rng(21))
    whole = ((low <= 0) & (high >= 0)).all(axis=-1)
    rate = (1 - 0.05 / 4) ** 4  # the points are independent here
    assert whole.mean() == pytest.approx(rate, abs=4 * math.sqrt(rate * (1 - rate) / 20_000))
    shown = (low > 0).any(axis=-1) & (high < 0).any(axis=-1)
    assert shown.mean() < 0.05  # a crossing that is none


def test_a_crossing_between_two_points_is_covered_at_least_as_often():
    low, high = bands(np.array([1.0, 0.5, -0.5, -1.0]), 5, np.random.default_rng(22))
    middle = [side[:, 1:3].mean(axis=-1) for side in (low, high)]
    assert ((middle[0] <= 0) & (middle[1] >= 0)).mean() > 0.95
