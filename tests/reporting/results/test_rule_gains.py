"""What the best of k rates gains over one rule: by hand, by enumeration, and where there is no figure."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from fairtrial.reporting.figures.figure_files import styled
from fairtrial.reporting.figures.tuning_curve import against_rule
from fairtrial.reporting.report.page_model import split_caption
from fairtrial.reporting.results.rate_curves import RateCurve
from fairtrial.reporting.results.rule_gains import gain_over, rule_gains, rule_of, splits
from fairtrial.reporting.verdicts.study_verdicts import judge_results
from fairtrial.study.tuning_plan import Range, Tuning

GRID = (0.01, 0.1, 1.0)


def curve(accuracy, loss=None, diverged=None, grid=GRID):
    accuracy = np.asarray(accuracy, dtype=float)
    loss = 1 - accuracy if loss is None else np.asarray(loss, dtype=float)
    diverged = np.zeros(accuracy.shape, dtype=bool) if diverged is None else np.asarray(diverged)
    chosen = (grid[0],) * len(accuracy)
    return RateCurve({}, {}, grid, accuracy, loss, diverged, chosen, 100, math.log(10))


def enumerated(rule, made):
    """The same by every split and every subset."""
    at = made.grid.index(rule)
    found = []
    for k in range(1, len(made.grid) + 1):
        gains = []
        for choosing, scoring in splits(len(made.accuracy)):
            for subset in combinations(range(len(made.grid)), k):
                won = min(subset, key=lambda rate: (made.loss[choosing, rate].mean(), rate))
                gains.append(made.accuracy[scoring, won].mean() - made.accuracy[scoring, at].mean())
        found.append(np.mean(gains))
    return found


def test_three_rates_and_two_seeds_by_hand():
    """The first seed ranks 1, .1, .01, worth -.04, 0, -.14 on the second; that .1, 1, .01: 0, .10, -.10."""
    made = curve([(0.50, 0.60, 0.70), (0.50, 0.64, 0.60)])
    first = [-0.18 / 3, -0.08 / 3, -0.04]
    second = [0.0, 0.10 / 3, 0.0]
    assert gain_over(0.1, made) == pytest.approx((np.array(first) + second) / 2)


@pytest.mark.parametrize("seeds", [2, 3, 4, 5])
def test_it_is_the_mean_over_every_split_and_every_subset(seeds):
    draws = np.random.default_rng(seeds)
    grid = (0.01, 0.03, 0.1, 0.3, 1.0)
    made = curve(draws.uniform(size=(seeds, 5)), draws.uniform(size=(seeds, 5)), grid=grid)
    assert gain_over(0.3, made) == pytest.approx(enumerated(0.3, made))


def test_an_arm_that_no_rate_changes_gains_nothing_and_ties_go_to_the_smaller_rate():
    assert gain_over(0.1, curve([(0.7, 0.7, 0.7)] * 4)) == pytest.approx([0, 0, 0])
    made = curve([(0.5, 0.6, 0.9)] * 2, [(1.0, 1.0, 1.0)] * 2)  # equal losses
    assert gain_over(0.1, made)[-1] == pytest.approx(-0.1)


def test_what_diverged_is_never_chosen_while_another_rate_ran_and_counts_as_chance():
    """Its score stands as the loss of chance, 2.3, which is below that of a rate that was sure and wrong."""
    made = curve(
        [(0.3, 0.2, 0.1)] * 2, [(3.0, 4.0, math.log(10))] * 2, [(False, False, True)] * 2
    )  # fmt: skip
    assert gain_over(0.1, made).tolist() == pytest.approx([0.0, (0.1 + 0.1 + 0.0) / 3, 0.1])
    lost = curve([(0.3, 0.2, 0.1)] * 2, diverged=[(False, False, True), (False, False, False)])
    assert gain_over(1.0, lost)[-1] == pytest.approx(0.2)


def test_no_seed_chooses_and_scores():
    assert list(splits(2)) == [([0], [1]), ([1], [0])]
    assert list(splits(3)) == [([0, 1], [2]), ([0, 2], [1]), ([1, 2], [0])]
    assert [len(list(splits(n))) for n in (4, 5, 8, 10)] == [6, 5, 70, 10]
    for seeds in (2, 3, 4, 10):
        assert all(sorted(one + other) == list(range(seeds)) for one, other in splits(seeds))


def test_each_arm_of_a_study_is_held_to_the_rate_that_it_declares(tuned):
    results = tuned(4)
    bn, gn = rule_gains(results)
    assert rule_of(results) == 0.1 and (bn.curve.label, gn.curve.label) == ("bn", "gn")
    # both choose the rule of all three; gn at .01 stands .20 to .23 below it, at 1 .40 to .43
    assert bn.gain[-1] == gn.gain[-1] == 0
    assert gn.gain[0] == pytest.approx((-0.215 - 0.415) / 3)


@pytest.mark.parametrize(
    "changed",
    [
        {"seeds": 1},
        {"fixed": {"val_per_class": 2, "lr": 0.2}},
        {"upto": 5},
        {"tuning": Tuning({"lr": Range(0.01, 1.0)}, trials=3, seeds=2), "accuracy": lambda settings: 0.5},
        {
            "tuning": Tuning({"mixup": (0.05, 0.1, 0.2)}, seeds=2),  # 0.1 is a rate by chance
            "accuracy": lambda settings: 0.5 + 0.1 * (settings.mixup == 0.1),
        },
    ],
    ids=["one seed", "a rule off the grid", "not complete", "sampled", "another setting"],
)
def test_without_two_seeds_or_a_rule_on_a_grid_of_rates_there_is_no_figure(tuned, changed):
    verdicts = judge_results(tuned(**changed))
    assert rule_gains(verdicts.results) == [] and list(against_rule(verdicts)) == []


def test_the_figure_has_a_thin_line_per_arm_a_thick_mean_and_no_interval(tuned):
    judged = judge_results(tuned(4))
    with styled():
        ((name, caption, figure),) = against_rule(judged)
    (ax,) = figure.axes
    zero, bn, gn, mean = ax.lines
    assert name == "rule-against-tuned" and set(zero.get_ydata()) == {0}
    assert mean.get_ydata() == pytest.approx((bn.get_ydata() + gn.get_ydata()) / 2)
    assert mean.get_linewidth() > 2 * bn.get_linewidth() and bn.get_color() != gn.get_color()
    assert [text.get_text() for text in ax.texts] == ["bn", "gn"] and not ax.collections
    shown, notes = split_caption(caption)
    assert "rule, lr 0.1 in 2 arms: chosen by validation loss on half of the 4 tuning seeds" in shown
    assert "no interval" in shown and shown.endswith("All 3 rates: 0.0 points, from 0.0 to 0.0.")
    images = judged.results.tuning.trials[0, judged.results.regimes[0][1]][0].val_n
    assert shown.startswith(f"Accuracy on {images} validation images that the best of k rates gains over the")
    assert "Regret at k: the right end of a line minus its height at k; k ends at 3, the rates" in notes
    assert "rates that 1 search tried" in notes and "orders add no standard error" in notes
    assert "50 % of the study's budget" in notes and notes.endswith("it is not BiT's HyperRule.")


def test_many_arms_are_grey_lines_without_names(tuned):
    results = tuned(
        2,
        factors={"norm": ("bn", "gn"), "batch_size": (2, 4, 8, 16, 32)},
        accuracy=lambda settings: 0.5 + 0.1 * (settings.lr == 0.1),
        primary=(),
    )
    ((_, caption, figure),) = against_rule(judge_results(results))
    (ax,) = figure.axes
    assert len(ax.lines) == 12 and len({line.get_color() for line in ax.lines[1:-1]}) == 1
    assert not ax.texts and "in 10 arms" in caption
