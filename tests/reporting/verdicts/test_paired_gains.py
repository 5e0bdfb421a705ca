"""What a change is worth along an axis: the right pairs, the right unit, marks that say what verdicts say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from fairtrial.reporting.figures.figure_layout import averaged
from fairtrial.reporting.figures.gain_panels import gains
from fairtrial.reporting.figures.style import looks
from fairtrial.reporting.verdicts.paired_gains import bn_modes, measure, mixups, norms, tunings
from fairtrial.reporting.verdicts.study_verdicts import judge_study
from fairtrial.reporting.wording import SCALES
from fairtrial.study.study import Contrast
from tests.reporting.judging import BN, GN_WS

SHOTS = (1, 5)


def titles(panels):
    return [panel.title for panel in panels]


def of(make_study, found, **factors):
    fixed = factors.pop("fixed", {})
    study = make_study(factors={**factors, "shots": SHOTS}, fixed=fixed, primary=(), aa=None)
    return found(study)


UP = {"upstream": "upstream", "upstream_seeds": 3}


def test_fine_tuning_is_held_against_every_other_way_that_is_swept(make_study):
    panels = of(
        make_study, tunings, finetune=("full", "linear_probe", "scratch"), norm=("bn", "gn"), fixed=UP
    )
    assert titles(panels) == ["fine-tuned minus from scratch", "fine-tuned minus linear probe"]
    assert [line.name for line in panels[0].lines] == ["bn", "gn"]
    assert titles(of(make_study, tunings, finetune=("linear_probe", "scratch"), fixed=UP)) == [
        "linear probe minus from scratch"
    ]
    assert of(make_study, tunings, finetune=("linear_probe", "last"), fixed=UP) == []


def test_an_upstream_is_held_against_none(make_study):
    panels = of(make_study, tunings, upstream=("none", "upstream", "upstream-mini"))
    assert [(dict(p.lines[0].treatment), dict(p.lines[0].control)) for p in panels] == [
        ({"upstream": "upstream"}, {"upstream": "none"}),
        ({"upstream": "upstream-mini"}, {"upstream": "none"}),
    ]
    assert of(make_study, tunings, upstream=("upstream", "upstream-mini")) == []


def test_mixup_is_held_against_none(make_study):
    assert titles(of(make_study, mixups, mixup=(0.0, 0.1, 0.4))) == [
        "mixup 0.1 minus mixup off",
        "mixup 0.4 minus mixup off",
    ]
    assert of(make_study, mixups, mixup=(0.1, 0.4)) == []


def test_the_gap_between_norms_is_that_of_the_named_arms(make_study):
    (panel,) = of(make_study, norms, norm=("bn", "gn", "ln"), weight_std=(False, True))
    assert panel.title == "gn+ws minus bn"
    assert [(line.treatment, line.control) for line in panel.lines] == [(GN_WS, BN)]
    (panel,) = of(make_study, norms, norm=("bn", "gn", "ln"))
    assert panel.title == "minus bn" and [line.name for line in panel.lines] == ["gn", "ln"]
    assert of(make_study, norms, norm=("gn", "ln")) == []
    assert of(make_study, norms, mixup=(0.0, 0.1)) == []


def test_bn_modes_are_compared_in_bn_arms_alone(make_study):
    panels = of(make_study, bn_modes, bn_mode=("updated", "frozen"), norm=("bn", "gn"), fixed=UP)
    assert titles(panels) == ["BN frozen minus BN updated"]
    assert [line.name for line in panels[0].lines] == ["bn"]
    assert of(make_study, bn_modes, bn_mode=("updated", "frozen"), fixed={**UP, "norm": "gn"}) == []


def transfer_gain(cell):
    """5 points at one shot, 20 at five, give or take 2 by checkpoint."""
    if cell.settings.finetune == "scratch":
        return 0.3
    gain = 0.05 if cell.levels["shots"] == 1 else 0.2
    return 0.3 + gain + 0.02 * (cell.seed % 3 - 1) + 0.001 * (cell.seed // 3 % 2)


def test_a_point_is_the_contrast_at_its_level(make_transfer, publish):
    contrast = Contrast("at 5", {"finetune": "full"}, {"finetune": "scratch"}, {"shots": 5})
    verdicts = judge_study(publish(make_transfer(primary=contrast), transfer_gain))
    (points,) = measured(verdicts)
    (finding,) = verdicts.findings
    assert [point.level for point in points] == [1, 5]
    assert points[1].interval == finding.interval and points[1].values == finding.differences
    means = [np.mean([points[0].values[s] for s in range(15) if s % 3 == u]) for u in range(3)]
    half = 4.302653 * np.std(means, ddof=1) / math.sqrt(3)
    assert points[0].centre == pytest.approx(np.mean(means))
    assert points[0].interval.high == pytest.approx(np.mean(means) + half, abs=1e-6)


FULL, SCRATCH = {"finetune": "full"}, {"finetune": "scratch"}


def measured(verdicts, found=tunings):
    """The points of each line."""
    return measure(verdicts, found(verdicts.results.study), "shots", "test_acc").values()


def test_a_point_is_filled_where_a_verdict_of_the_study_settles_it_and_nowhere_else(make_transfer, publish):
    """It was by a Holm of the figure's own: hollow where the verdict said better, filled where none spoke."""

    def outcome(cell):  # at seven shots fine-tuning gains nothing
        if cell.levels["shots"] == 7 and cell.settings.finetune == "full":
            return 0.3 + 0.02 * (cell.seed % 3 - 1)
        return transfer_gain(cell)

    study = make_transfer(
        factors={"finetune": ("full", "scratch"), "shots": (1, 5, 6, 7)},
        primary=(
            Contrast("turned around", SCRATCH, FULL, {"shots": 5}),
            Contrast("nothing", FULL, SCRATCH, {"shots": 7}),
        ),
        secondary=(Contrast("in another metric", FULL, SCRATCH, {"shots": 6}, metric="test_loss"),),
    )
    verdicts = judge_study(publish(study, outcome))
    assert [finding.verdict for finding in verdicts.findings][:2] == ["worse", "inconclusive"]
    (points,) = measured(verdicts)
    assert [point.settled for point in points] == [False, True, False, False]
    assert points[2].interval.low > 0  # no contrast was declared there
    (panel,) = tunings(study)
    ax = gains(panel, {panel.lines[0]: points}, "shots", SCALES["test_acc"], 0.01, Figure().subplots())
    marks = [line for line in ax.lines if line.get_marker() == "D"]
    assert [mark.get_markerfacecolor() == "white" for mark in marks] == [True, False, True, True]


def test_a_contrast_that_names_more_factors_of_the_same_arms_settles_too(make_study, publish):
    """An arm that goes with its network is named by more factors in a contrast than on a line."""
    factors = {"norm": ("gn", "bn"), "weight_std": (True, False), "finetune": ("full", "linear_probe")}
    only = ({"norm": "gn", "weight_std": True}, {"norm": "bn", "weight_std": False})
    arms = {**only[0], "upstream": "upstream"}
    study = make_study(
        factors={**factors, "upstream": ("upstream",), "shots": SHOTS}, only=only, aa=None,
        fixed={"upstream_seeds": 3}, seeds=range(6),
        primary=Contrast("probe", FULL, {"finetune": "linear_probe"}, {**arms, "shots": 1}),
    )  # fmt: skip

    def outcome(cell):
        return 0.3 if cell.settings.finetune == "linear_probe" else 0.6 + 0.01 * (cell.seed % 3)

    verdicts = judge_study(publish(study, outcome))
    gn, bn = measured(verdicts)
    assert [point.settled for point in (*gn, *bn)] == [True, False, False, False]


def test_nothing_is_claimed_where_no_interval_may_be_shown(make_transfer, publish):
    verdicts = judge_study(
        publish(make_transfer(), lambda cell: transfer_gain(cell) if cell.seed < 9 else None)
    )
    (points,) = measured(verdicts)
    assert all(point.interval is None and not point.settled and len(point.values) == 9 for point in points)


def test_the_panel_shows_every_seed_the_margin_and_the_colour_of_the_arm(make_transfer, publish):
    verdicts = judge_study(publish(make_transfer(), transfer_gain))
    (panel,) = tunings(verdicts.results.study)
    points = measure(verdicts, [panel], "shots", "test_acc")
    ax = gains(panel, points, "shots", SCALES["test_acc"], 0.01, Figure().subplots())
    seen = [
        y
        for line in ax.lines
        if line.get_markersize() < 3 and line.get_marker() == "o"
        for y in line.get_ydata()
    ]
    assert len(seen) == 2 * 15
    marks = [line for line in ax.lines if line.get_marker() == "D"]
    assert {line.get_color() for line in marks} == {looks([GN_WS])[0].color}  # the norm that all arms share
    (band,) = ax.patches
    assert (band.get_y(), band.get_height()) == pytest.approx((-1.0, 2.0))
    assert ax.get_title() == "fine-tuned minus from scratch"


def test_a_failed_seed_is_a_cross(make_transfer, publish):
    def outcome(cell):
        return (
            "diverged"
            if cell.seed == 2 and cell.levels == {"finetune": "full", "shots": 5}
            else transfer_gain(cell)
        )

    verdicts = judge_study(publish(make_transfer(), outcome))
    (panel,) = tunings(verdicts.results.study)
    points = measure(verdicts, [panel], "shots", "test_acc")
    ax = gains(panel, points, "shots", SCALES["test_acc"], 0.01, Figure().subplots())
    crosses = [
        list(line.get_ydata()) for line in ax.lines if line.get_marker() == "x" and len(line.get_ydata())
    ]
    assert crosses == [[pytest.approx(-20.0)]]  # chance, 10 %, minus 30 %


def test_lines_whose_norms_have_networks_of_their_own_are_named_by_them_and_none_is_averaged(make_study):
    """'bn' and 'gn+ws' stood for EfficientNet and for our network: it read as a verdict on norms."""
    factors = {"norm": ("gn", "bn"), "model": ("mini", "r50x1"), "finetune": ("full", "linear_probe")}
    fields = {"factors": factors | {"shots": SHOTS}, "fixed": UP, "primary": (), "aa": None}
    apart = make_study(**fields, only=({"norm": "gn", "model": "mini"}, {"norm": "bn", "model": "r50x1"}))
    crossed = make_study(**fields)
    named = [[line.name for line in tunings(study)[0].lines] for study in (apart, crossed)]
    assert named == [["gn, mini", "bn, r50x1"], ["gn", "bn"]]
    told = [averaged(study, ["norm", "finetune", "shots"]) for study in (apart, crossed)]
    assert told == ["", " Averaged within a seed over model."]
