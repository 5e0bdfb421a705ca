"""What is read from trials on a grid: curves, widths, contrasts at the chosen and at a common rate."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from fairtrial.reporting.figures.figure_files import styled
from fairtrial.reporting.figures.sensitivity import sensitivity
from fairtrial.reporting.results import load
from fairtrial.reporting.results.rate_curves import rate_contrasts, rate_curves
from fairtrial.reporting.tables.sensitivity_tables import common_rate_table, sensitivity_table
from fairtrial.reporting.verdicts.study_verdicts import judge_results
from fairtrial.study.study import Contrast

RATES = (0.01, 0.1, 1.0)
PLAIN = Contrast("gn", {"norm": "gn"}, {"norm": "bn"})


def test_a_curve_has_a_row_per_tuning_seed_and_chance_where_it_diverged(tuned):
    bn, gn = rate_curves(tuned())
    assert (bn.label, gn.label, bn.grid, bn.chosen) == ("bn", "gn", RATES, (0.1, 0.1, 0.1))
    assert bn.accuracy.ravel().tolist() == pytest.approx([0.5, 0.9, 0.1, 0.5, 0.91, 0.1, 0.5, 0.92, 0.1])
    assert bn.diverged.tolist() == [[False, False, True]] * 3
    assert bn.loss[0].tolist() == pytest.approx([0.5, 0.1, math.log(10)])
    assert gn.at_chosen.tolist() == pytest.approx([0.80, 0.81, 0.82])


def test_the_width_of_an_arm_is_that_of_its_mean_and_its_limits_are_those_of_single_seeds(tuned):
    _, gn = rate_curves(tuned())
    # gn's means .60 .81 .40: a point below .81 lies 1/21 of a decade to the left, 1/41 to the right
    assert gn.plateau.width == pytest.approx(1 / 21 + 1 / 41)
    widths = [1 / 20 + 1 / 40, 1 / 21 + 1 / 41, 1 / 22 + 1 / 42]
    mean = sum(widths) / 3
    half = 4.302653 * (sum((width - mean) ** 2 for width in widths) / 2 / 3) ** 0.5
    assert gn.width_of_a_seed.mean == pytest.approx(mean)
    assert gn.width_of_a_seed.low == pytest.approx(mean - half)
    assert gn.width_of_a_seed.high == pytest.approx(mean + half)
    few = rate_curves(tuned(2))[1].width_of_a_seed
    assert (few.low, few.high, few.n) == (pytest.approx(widths[1]), pytest.approx(widths[0]), 2)


def test_a_contrast_stands_at_the_chosen_rates_and_at_every_common_one(tuned):
    shape = {"bn": (0.50, 0.60, 0.97), "gn": (0.60, 0.80, 0.40)}
    results = tuned(accuracy=shape)
    assert not results.tuning.complete  # bn chose an edge: two more rates are asked for
    assert rate_curves(results) == []
    found = list(rate_contrasts(rate_curves(tuned()), PLAIN))
    assert [row.rate for row in found] == [None, *RATES]
    assert [row.difference.mean for row in found] == pytest.approx([-0.1, 0.1, -0.1, 0.3])
    assert found[0].chosen == ("0.1", "0.1")
    assert math.isnan(found[1].difference.low)  # equal in all three seeds: no variance, no interval


def test_each_side_is_read_at_its_own_rate_and_averaged_over_what_it_does_not_name(tuned):
    results = tuned(
        factors={"norm": ("bn", "gn"), "batch_size": (4, 64)},
        accuracy={"bn": (0.3, 0.7, 0.5), "gn": (0.2, 0.6, 0.4)},
        primary=(PLAIN, Contrast("by", {"norm": "gn"}, {"norm": "bn"}, by={"batch_size": (4, 64)})),
    )
    curves = rate_curves(results)
    curves[0] = replace(curves[0], chosen=(1.0, 1.0, 1.0))  # bn at batch 4
    own, *common = rate_contrasts(curves, PLAIN)
    # bn: the mean of .5 at rate 1 and of .71 at rate .1, over three seeds; gn .61
    assert own.control == pytest.approx((0.5 + 0.71) / 2) and own.treatment == pytest.approx(0.61)
    assert own.chosen == ("0.1", "0.1 and 1")
    assert [row.difference.mean for row in common] == pytest.approx([-0.1] * 3)
    assert list(rate_contrasts(curves, results.study.contrasts[1])) == []  # an interaction


def test_the_tables_say_what_their_limits_are_and_give_no_verdict(tuned):
    three, two = (judge_results(tuned(n)) for n in (3, 2))
    (wide,), (rates,) = sensitivity_table(three), common_rate_table(three)
    # bn's means .50 .91 .10 leave 1/41 + 1/81 of a decade, gn's 1/21 + 1/41
    assert wide.frame["decades"].tolist() == ["0.04", "0.07"]
    assert wide.frame["factor"].tolist() == ["1.1", "1.2"]
    assert {"95 % low", "95 % high"} <= set(wide.frame.columns) & set(rates.frame.columns)
    assert rates.frame["lr"].tolist() == ["0.1 against 0.1 (chosen)", "0.01", "0.1", "1"]
    assert rates.frame["difference"].tolist() == ["-10.0", "10.0", "-10.0", "30.0"]
    assert "Exploratory, on 20 validation images at 3 tuning seeds" in rates.caption
    (wide,), (rates,) = sensitivity_table(two), common_rate_table(two)
    assert {"least", "most"} <= set(wide.frame.columns) & set(rates.frame.columns)
    assert all("no interval, least and most of 2 tuning seeds" in made.caption for made in (wide, rates))
    text = (wide.markdown() + rates.markdown() + rates.caption).lower()
    assert not any(word in text for word in ("better", "beats", "worse", "equivalent", "significant"))


def test_an_edge_that_the_range_reaches_is_named(tuned):
    flat = {"bn": (0.899, 0.90, 0.899), "gn": (0.795, 0.80, 0.40)}
    (made,) = sensitivity_table(judge_results(tuned(1, accuracy=flat)))
    assert made.frame["edge"].tolist() == ["both", "lower"]
    assert made.frame["within 1 point"].tolist()[0] == "0.01 to 1"


@pytest.mark.parametrize("seeds", [2, 3])
def test_the_figure_marks_choices_and_divergence_and_its_caption_is_short(tuned, seeds):
    factors = {"norm": ("bn", "gn"), "batch_size": (4, 64)}
    with styled():
        ((name, caption, figure),) = sensitivity(judge_results(tuned(seeds, factors=factors)))
    assert name == "sensitivity" and len(caption.split()) <= 60
    assert ("95 % t intervals" if seeds == 3 else "no intervals") in caption
    assert f"n = {seeds} tuning seeds" in caption and "50 % of the study's budget" in caption
    assert "20 validation images" in caption
    accuracy, loss = figure.axes[:2], figure.axes[2:]
    assert [ax.get_title() for ax in accuracy] == ["batch 4", "batch 64"]
    assert all(ax.get_xscale() == "log" and ax.get_yscale() == "log" for ax in loss)
    rings = [line for line in accuracy[0].lines if line.get_markersize() == 9]
    assert len(rings) == 2
    assert all(float(line.get_xdata()[0]) == pytest.approx(0.1, rel=0.2) for line in rings)
    (crosses,) = [line for line in accuracy[0].lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert list(crosses.get_ydata()) == pytest.approx([10.0] * seeds)  # bn at rate 1, ten classes


def test_the_axis_of_accuracies_holds_the_points_of_every_panel(tuned):
    """Its limits once came from the first panel alone, and cut the others."""
    accuracy = {(2, "bn"): 0.2, (2, "gn"): 0.2, (64, "bn"): 0.9, (64, "gn"): 0.9}
    results = tuned(
        factors={"norm": ("bn", "gn"), "batch_size": (2, 64)},
        primary=(),
        accuracy=lambda settings: accuracy[settings.batch_size, settings.norm],
    )
    with styled():
        ((_, _, figure),) = sensitivity(judge_results(results))
    assert len(figure.axes) == 4
    low, high = figure.axes[0].get_ylim()
    assert low < 20 and 90 < high <= 102


@pytest.mark.parametrize("all_at", [64, 2])
def test_an_arm_has_one_look_in_panels_with_other_arms(tuned, all_at):
    """Lines are named at the last panel where that has them all, else at each."""
    results = tuned(
        factors={"norm": ("bn", "gn"), "weight_std": (False, True), "batch_size": (2, 64)},
        only=({"norm": "gn"}, {"batch_size": all_at}),
        primary=(),
    )
    with styled():
        ((_, _, figure),) = sensitivity(judge_results(results))
    few, many = figure.axes[:2] if all_at == 64 else figure.axes[1::-1]
    named = [{text.get_text(): text.get_color() for text in panel.texts} for panel in (few, many)]
    assert set(named[1]) == {"bn", "bn+ws", "gn", "gn+ws"}
    assert set(named[0]) == (set() if all_at == 64 else {"gn", "gn+ws"})
    assert all(named[1][name] == color for name, color in named[0].items())
    lines = [line for line in few.lines if line.get_linestyle() != "None" and len(line.get_xdata()) > 2]
    assert {line.get_color() for line in lines} == {named[1]["gn"], named[1]["gn+ws"]}


def test_names_too_long_for_the_ends_of_lines_stand_in_a_legend(tuned):
    long = {"norm": ("bn", "gn"), "block": ("pre-activation", "post-activation"), "stride_on": ("1x1", "3x3")}
    with styled():
        ((_, _, figure),) = sensitivity(judge_results(tuned(factors=long, primary=())))
        figure.draw_without_rendering()
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert len(names) == 8 and all("stride on the" in name for name in names)
    width = figure.get_figwidth() * figure.dpi
    assert all(text.get_window_extent().x1 <= width for text in legend.get_texts())


def test_a_legend_names_each_arm_once_where_panels_have_different_arms(tuned):
    long = {
        "block": ("pre-activation", "post-activation"),
        "stride_on": ("1x1", "3x3"),
        "batch_size": (4, 64),
    }
    only = ({"batch_size": 4, "block": "pre-activation"}, {"batch_size": 64})

    def best(settings):
        return 0.9 if settings.lr == 0.1 else 0.5

    with styled():
        results = tuned(2, factors=long, only=only, primary=(), accuracy=best)
        ((_, _, figure),) = sensitivity(judge_results(results))
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert len(names) == len(set(names)) == 4
    keys = {(line.get_color(), line.get_linestyle()) for line in legend.get_lines()}
    drawn = [
        {(one.get_color(), one.get_linestyle()) for one in panel.lines if len(one.get_xdata()) == len(RATES)}
        for panel in figure.axes[:2]
    ]
    assert sorted(len(panel & keys) for panel in drawn) == [2, 4] and len(keys) == 4


def test_losses_far_above_chance_do_not_flatten_the_axis(tuned):
    with styled():
        ((_, near, _),) = sensitivity(judge_results(tuned()))
        ((_, caption, figure),) = sensitivity(judge_results(tuned(losses={("gn", 1.0): 1e6})))
    assert figure.axes[1].get_ylim()[1] == pytest.approx(2 * math.log(10))
    assert "2 times chance lie beyond the axis" in caption and "beyond" not in near
    assert len(caption.split()) <= 60


def test_before_tuning_is_complete_there_is_no_figure_and_no_table(tuned, make_study, publish):
    for results in (tuned(upto=-1), load.load(publish(make_study(), lambda cell: 0.9))):
        verdicts = judge_results(results)
        assert not [*sensitivity(verdicts), *sensitivity_table(verdicts), *common_rate_table(verdicts)]
