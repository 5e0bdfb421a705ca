"""Figure and table of who leads along a schedule, of planted curves whose crossing is known by hand."""

from __future__ import annotations

import math

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
from fairtrial.reporting.verdicts.learning_curve_crossover import (
    STEPS,
    find_crossovers,
)
from fairtrial.reporting.verdicts.study_verdicts import judge_results
from fairtrial.study.study import Contrast
from tests.reporting.crossing_curves import QUARTERS, curve, planted, told
from tests.reporting.judging import BN, GN_WS

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


def test_who_leads_is_told_by_two_colours_where_both_sides_have_one_norm(planted_curves, make_study, publish):
    batches = Contrast("batches", {"batch_size": 4}, {"batch_size": 64})
    study = make_study(primary=batches, factors={"batch_size": (4, 64)}, fixed=BN, aa=None)
    ((_, _, figure),) = draw_crossovers(judge_results(load.load(publish(study, planted()))))
    leads = [text for text in figure.findobj(Text) if "leads" in text.get_text()]
    assert len(leads) == 2 and len({text.get_color() for text in leads}) == 2
