"""Who leads along a schedule: planted curves whose crossing is known by hand, by steps and by seconds."""

from __future__ import annotations

import math
import re
from itertools import count

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text
from scipy.stats import t as student

from fairtrial.reporting import verify
from fairtrial.reporting.figures import style
from fairtrial.reporting.figures.crossover_figure import draw_crossovers
from fairtrial.reporting.figures.style import ALARM, look_of_norm
from fairtrial.reporting.report import study_report
from fairtrial.reporting.report.figure_registry import draw_study, report_items
from fairtrial.reporting.results import load
from fairtrial.reporting.tables.crossover_table import crossover_tables
from fairtrial.reporting.verdicts.crossover_sentences import describe_leads
from fairtrial.reporting.verdicts.learning_curve_crossover import (
    IMAGES,
    SECONDS,
    STEPS,
    find_crossovers,
    find_gaps,
    find_sign_changes,
    find_undecided,
)
from fairtrial.reporting.verdicts.sentences import arms
from fairtrial.reporting.verdicts.study_verdicts import judge_results
from fairtrial.study.study import Contrast

GN_WS = {"norm": "gn", "weight_std": True}
BN = {"norm": "bn", "weight_std": False}
STEPS_MADE = 768  # 3072 images, four at a time
QUARTERS = (0.25, 0.5, 0.75, 1.0)
JITTER = 0.005  # of the treatment, up in odd seeds and down in even ones


def curve(steps, start, slope, shift=0.0):
    """Accuracies on a straight line over the schedule."""
    return [[round(part * steps), start + slope * part + shift, 0.5] for part in QUARTERS]


def planted(treatment=(0.65, 0.16), control=(0.5, 0.4), seconds=(6.0, 4.0), jitter=JITTER):
    """Treatment minus control is 0.15 - 0.24 f after a part f of the schedule, unless told otherwise."""

    def outcome(cell):
        ahead = {name: getattr(cell.settings, name) for name in GN_WS} == GN_WS
        steps = 3072 // cell.settings.batch_size
        shift = jitter * (2 * (cell.seed % 2) - 1) * ahead
        start, slope = treatment if ahead else control
        looks = curve(steps, start, slope, shift)
        return {
            "measured": {"val_curve": looks, "val_acc": looks[-1][1]},
            "spent": {"train_s": seconds[0] if ahead else seconds[1]},
        }

    return outcome


@pytest.fixture
def planted_curves(make_study, publish):
    """(steps, seconds) of the only contrast of a made-up study."""
    numbers = count()

    def make(outcome, **fields):
        few = {"factors": {"norm": ("bn", "gn"), "weight_std": (False, True), "batch_size": (4,)}, "aa": None}
        study = make_study(**{**few, "name": f"curves-{next(numbers)}", **fields})
        (crossover,) = find_crossovers(load.load(publish(study, outcome)), False)
        return crossover.curves

    return make


def told(curve):
    return describe_leads(curve, arms(curve.contrast)[:2])


LONG = (
    {**GN_WS, "model": "mini-x2", "block": "pre-activation", "stride_on": "3x3", "head": "zero"},
    {**BN, "model": "mini", "block": "post-activation", "stride_on": "1x1", "head": "drawn"},
)


def test_arms_of_long_names_are_named_where_they_lead(make_study, publish):
    """They were "the former" and "the latter", of a title of four lines."""
    study = make_study(
        factors={name: (LONG[1][name], LONG[0][name]) for name in LONG[0]},
        only=LONG,
        aa=None,
        primary=(Contrast("ladder", *LONG),),
    )
    ((_, _, figure),) = draw_crossovers(judge_results(load.load(publish(study, planted()))))
    said = [" ".join(text.get_text().split()) for ax in figure.axes for text in ax.texts]
    assert said == ["gn+ws leads", "bn leads"]


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


def test_too_few_seeds_give_a_sign_change_without_an_interval(planted_curves, make_study, publish):
    steps, seconds = planted_curves(planted(), seeds=range(2))
    assert steps.band is None and steps.changes == pytest.approx([480])
    assert (
        told(steps) == "no crossing shown: without an interval, the mean difference changes sign at step 480"
    )
    assert told(seconds).endswith("at second 2.05")
    results = load.load(publish(make_study(name="few", seeds=range(2), aa=None), planted()))
    ((_, caption, _),) = draw_crossovers(judge_results(results))
    assert "no intervals" in caption and "n = 2 seeds" in caption
    (made,) = crossover_tables(judge_results(results))
    assert set(made.frame["simultaneous low"]) == set(made.frame["leads"]) == {""}


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


def test_a_diverged_run_has_chance_at_every_point_and_is_a_cross(make_study, publish):
    outcome = planted()

    def lost(cell):
        hit = cell.seed == 3 and {name: cell.levels[name] for name in GN_WS} == GN_WS
        return "diverged" if hit else outcome(cell)

    results = load.load(publish(make_study(aa=None), lost))
    steps = find_crossovers(results, False)[0].curves[0]
    assert steps.failed == {3}
    assert steps.runs[3] == pytest.approx([0.1 - 0.5 - 0.4 * part for part in QUARTERS])
    drawn = {figure.name: figure for figure in draw_study(judge_results(results), ())}
    assert "2 of 80 runs failed" in drawn["crossover"].full_caption  # this arm at both batches
    ((_, _, figure),) = draw_crossovers(judge_results(results))
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert [to_hex(line.get_color()) for line in crosses] == [ALARM]


@pytest.mark.parametrize(
    "looks",
    [
        [],
        [[768, 0.9, 0.5]],
        [[192, 0.6, 0.5], [384, 0.7, 0.5]],  # ends before the run does
        [
            [0, 0.6, 0.5],
            [192, 0.7, 0.5],
            [768, 0.7, 0.5],
        ],  # before the first step; one that goes back is damage
    ],
)
def test_one_curve_that_cannot_be_read_and_nothing_is_drawn(make_study, publish, looks):
    outcome = planted()

    def broken(cell):
        said = outcome(cell)
        hit = cell.seed == 4 and cell.levels == {**BN, "batch_size": 4}
        return said | {"measured": {"val_curve": looks}} if hit else said

    results = load.load(publish(make_study(), broken))
    assert find_crossovers(results, False) == [] == list(draw_crossovers(judge_results(results)))
    assert crossover_tables(judge_results(results)) == []
    study_report.build(publish(make_study(name="again"), broken))


def test_interactions_and_averages_are_not_drawn_and_two_contrasts_at_most(make_study, publish):
    at = {"batch_size": 4}
    primary = (
        Contrast("averaged", GN_WS, BN),
        Contrast(
            "interaction", {"norm": "gn"}, {"norm": "bn"}, {"batch_size": 4}, {"weight_std": (True, False)}
        ),
        Contrast("first", GN_WS, BN, at),
        Contrast("second", GN_WS, BN, {"batch_size": 64}),
        Contrast("third", {"norm": "gn"}, {"norm": "bn"}, {"weight_std": True, **at}),
    )
    results = load.load(publish(make_study(primary=primary), planted()))
    assert [crossover.contrast.name for crossover in find_crossovers(results, False)] == ["first", "second"]
    ((_, _, figure),) = draw_crossovers(judge_results(results))
    assert len(figure.axes) == 4


def test_arms_of_different_batches_meet_at_equal_images(planted_curves):
    batches = Contrast("batches", {"batch_size": 4}, {"batch_size": 64})
    images, seconds = planted_curves(planted(), primary=batches, factors={"batch_size": (4, 64)}, fixed=BN)
    assert images.clock == IMAGES and images.places.tolist() == [768, 1536, 2304, 3072]
    assert images.mean == pytest.approx([0] * 4) and seconds.clock == SECONDS


def test_seconds_of_two_machines_or_without_a_common_one_are_not_compared(make_study, publish):
    outcome = planted()
    mixed = publish(make_study(), lambda cell: outcome(cell) | {"origin": {"cpu": f"cpu {cell.seed % 2}"}})
    (crossover,) = find_crossovers(load.load(mixed), False)
    assert [curve.clock for curve in crossover.curves] == [STEPS] and "mixed hardware" in crossover.no_seconds
    apart = publish(make_study(name="apart"), planted(seconds=(20.0, 4.0)))  # 5 to 20 s, 1 to 4 s
    results = load.load(apart)
    (crossover,) = find_crossovers(results, False)
    ((_, caption, figure),) = draw_crossovers(judge_results(results))
    assert [curve.clock for curve in crossover.curves] == [STEPS] and len(figure.axes) == 1
    assert figure.get_figwidth() == style.COLUMN
    assert "not shown by seconds: no second lies within the curves of both arms" in caption


def test_subsets_are_averaged_within_their_checkpoint(make_transfer, publish):
    def outcome(cell):
        gain = 0.1 + 0.02 * (cell.seed % 3 - 1) + 0.003 * (cell.seed // 3)
        start = 0.3 + gain * (cell.settings.finetune == "full")
        return {"measured": {"val_curve": curve(3072 // cell.settings.batch_size, start, 0.2)}}

    results = load.load(publish(make_transfer(), outcome))
    steps = find_crossovers(results, False)[0].curves[0]
    assert len(steps.runs) == 15 and steps.band.n == 3 and steps.band.unit == "upstream checkpoint"
    means = [0.1 + 0.02 * (label - 1) + 0.003 * 2 for label in range(3)]
    half = student.ppf(1 - 0.05 / 8, 2) * np.std(means, ddof=1) / math.sqrt(3)
    assert steps.band.high == pytest.approx([np.mean(means) + half] * 4)
    ((_, caption, _),) = draw_crossovers(judge_results(results))
    assert "3 upstream checkpoints (15 few-shot subsets)" in caption and "means over checkpoints" in caption


def test_arms_keep_their_colours_and_stand_where_they_lead_curve(make_study, publish):
    results = load.load(publish(make_study(), planted()))
    ((name, caption, figure),) = draw_crossovers(judge_results(results))
    ax = figure.axes[-1]
    marks = [to_hex(line.get_color()) for line in ax.lines if line.get_markersize() == 4.5]
    gn, bn = (look_of_norm(each).color for each in ("gn+ws", "bn"))
    assert name == "crossover" and marks[0] == gn and marks[-1] == bn
    heights = {text.get_text(): text.xyann[1] for text in ax.texts}
    assert heights["gn+ws\nleads"] > 0 > heights["bn\nleads"]
    dots = [y for line in figure.axes[0].lines if line.get_markersize() == 2.4 for y in line.get_ydata()]
    assert len(dots) == 10 * 4  # every seed at every point
    for words in ("learning rate has not fallen", "n = 10 seeds", "the lead changes hands at step 480",
                  "confidence set", "gn+ws at batch 4 6 to 6 and bn at batch 4 4 to 4"):  # fmt: skip
        assert words in caption


def test_the_report_holds_figure_and_table_and_verify_names_a_changed_digit(make_study, publish):
    store = publish(make_study(seeds=range(4)), planted())
    made = study_report.build(store)
    assert {path.name for path in made.figures} >= {"crossover.svg"}
    path = store.folder / "tables" / "crossover.csv"
    lines = path.read_text().splitlines()
    assert len(lines) == 1 + 4 + 4 and lines[1].startswith(
        "small batch,gn+ws against bn at batch 4,steps,192,9.0"
    )
    path.write_text(path.read_text().replace(",9.0,", ",8.0,", 1))
    (problem,) = verify.check(store.folder).problems  # nothing else, and no other number
    assert problem.where == str(path) and "8.0, expected 9.0" in problem.what
    assert problem.what.startswith("one place is")


def test_the_written_report_takes_it_from_studies_of_the_four_arms(make_study):
    item, row = report_items()["F3.12"]
    assert row.make is draw_crossovers and item.includes("crossover") and item.cells.fits(make_study())
    assert not item.cells.fits(make_study(factors={"mixup": (0.0, 0.1)}, primary=(), aa=None))


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


def test_who_leads_is_told_by_two_colours_where_both_sides_have_one_norm(planted_curves, make_study, publish):
    batches = Contrast("batches", {"batch_size": 4}, {"batch_size": 64})
    study = make_study(primary=batches, factors={"batch_size": (4, 64)}, fixed=BN, aa=None)
    ((_, _, figure),) = draw_crossovers(judge_results(load.load(publish(study, planted()))))
    leads = [text for text in figure.findobj(Text) if "leads" in text.get_text()]
    assert len(leads) == 2 and len({text.get_color() for text in leads}) == 2
