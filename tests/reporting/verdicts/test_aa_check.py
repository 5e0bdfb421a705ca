"""The A/A check is quiet, too wide to tell, or sounds the alarm."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fairtrial.reporting.figures.forest import rows_of
from fairtrial.reporting.results import load
from fairtrial.reporting.verdicts import aa_check
from fairtrial.reporting.verdicts.findings import judge


def compared(store, **options):
    return aa_check.compare(load.load(store), **options)


def test_an_arm_is_quiet_only_where_its_interval_lies_inside_the_margin(make_study, publish, noise):
    found = compared(publish(make_study(), lambda cell: 0.9 + 0.005 * noise(cell, "acc")))
    assert (found.state, found.holds) == ("quiet", True)
    assert -found.margin < found.inside.low and found.inside.high < found.margin
    assert found.sentence.startswith("A/A: quiet (gn+ws, batch 64: ")
    size = found.scale.gap(found.inside.estimate)
    low, high = found.inside.low, found.inside.high
    shown = f"{size} of test accuracy {found.scale.decided(low, high, found.margin)} (95 %)"
    assert f": {shown}, n = 10 paired seeds; " in found.sentence
    assert found.sentence.endswith("; margin ±1.0 points; alarm at 99 %).")


def test_pairs_from_one_checkpoint_are_counted_as_what_they_are(make_study, publish, noise):
    """Contrasts count checkpoints there: ten pairs without a name read as ten of them."""
    study = make_study(fixed={"upstream": "upstream", "upstream_seeds": 2, "shots": 5})
    results = load.load(publish(study, lambda cell: 0.9 + 0.005 * noise(cell, "acc")))
    control = aa_check.compare(results)
    assert ", n = 10 paired few-shot subsets; margin" in control.sentence
    *_, twin = rows_of(judge(results), control)
    assert (twin.name, twin.n) == ("A/A check", "10 subsets")


def test_an_interval_wider_than_the_margin_is_no_alarm_and_says_how_wide_it_is(make_study, publish, noise):
    found = compared(publish(make_study(), lambda cell: 0.9 + 0.02 * noise(cell, "acc")))
    assert (found.state, found.holds) == ("no alarm", True)
    assert found.half_width > found.margin
    half = f"{100 * found.half_width:.1f} points"
    assert found.sentence.startswith(
        f"A/A: no alarm, too wide to tell (half-width {half}) (gn+ws, batch 64: "
    )


SPLIT = "excludes 0 at 95 %, not at 99 %: one check in 25 does by chance"


def moved(make_study, publish, shift, spread):
    """An A/A pair whose ten differences have this mean and this standard deviation, in points."""
    pattern = np.array([-2.0, -1.5, -1.0, -0.5, -0.2, 0.2, 0.5, 1.0, 1.5, 2.0])
    step = shift + spread * pattern / pattern.std(ddof=1)

    def accuracy(cell):
        return 0.8 + cell.seed / 1000 + cell.replica * step[cell.seed] / 100

    return compared(publish(make_study(), accuracy))


def test_what_excludes_0_at_95_and_not_at_99_is_called_neither_quiet_nor_too_wide(make_study, publish):
    """Half-widths over ten pairs are 0.7154 and 1.0277 standard deviations: t of 9 degrees of freedom."""
    found = moved(make_study, publish, 0.66, 0.8)
    assert (found.state, found.holds, found.alarm) == ("borderline", True, False)
    assert found.words == f"borderline ({SPLIT})"
    assert found.sentence == (
        f"A/A: borderline ({SPLIT}) (gn+ws, batch 64: 0.7 points of test accuracy [0.1, 1.2] (95 %), "
        "n = 10 paired seeds; 99 % [-0.2, 1.5]; margin ±1.0 points; alarm at 99 %)."
    )
    assert rows_of((), found)[-1].verdict == "borderline"


@pytest.mark.parametrize(
    ("shift", "spread", "words"),
    [
        (0.4, 0.5, "quiet"),  # excludes 0 at 95 % as well, inside the margin
        (0.5, 0.8, "no alarm, too wide to tell (half-width 0.6 points)"),
        (0.9, 0.8, "ALARM"),
    ],
)
def test_the_states_beside_the_borderline_stay_as_they_are(make_study, publish, shift, spread, words):
    found = moved(make_study, publish, shift, spread)
    assert found.words == words
    assert (f"; {SPLIT}; margin" in found.sentence) == (words == "quiet")


def test_one_check_in_25_is_what_chance_does():
    """Ten thousand pairs of arms that do not differ, of ten seeds each; four standard errors are 0.008."""
    differences = np.random.default_rng(3).normal(size=(10_000, 10))
    t = np.abs(differences.mean(axis=1)) / (differences.std(axis=1, ddof=1) / np.sqrt(10))
    share = np.mean((t > stats.t.ppf(0.975, 9)) & (t <= stats.t.ppf(0.995, 9)))
    told = int(aa_check._BY_CHANCE.split()[3])
    assert abs(share - 1 / told) < 0.008 and told == 25


def test_an_arm_that_differs_from_itself_is_an_alarm(make_study, publish, noise):
    found = compared(
        publish(make_study(), lambda cell: 0.9 - 0.05 * cell.replica + 0.005 * noise(cell, "acc"))
    )
    assert found.alarm
    assert found.sentence.startswith("A/A ALARM: gn+ws, batch 64 differs from itself (")


def test_the_same_values_twice_are_an_alarm_too(make_study, publish):
    found = compared(publish(make_study(), lambda cell: 0.9 + cell.seed / 1000))
    assert found.alarm and "do the draws reach the network at all?" in found.sentence


@pytest.mark.parametrize("status", ["diverged", "oom"])
@pytest.mark.parametrize("replica", [0, 1])
def test_a_failed_run_of_the_pair_is_an_alarm(make_study, publish, noise, status, replica):
    def outcome(cell):
        mine = cell.replica == replica and cell.seed < 2 and cell.levels == make_study().aa
        return status if mine else 0.9 + 0.005 * noise(cell, "acc")

    found = compared(publish(make_study(), outcome))
    assert found.alarm and found.holds is False
    assert found.sentence.startswith("A/A ALARM: gn+ws, batch 64 has failed runs: 2 runs ")


def test_an_incomplete_study_leaves_it_open(make_study, publish):
    store = publish(make_study(), lambda cell: 0.9 if cell.seed < 2 else None)
    assert compared(store).sentence == "A/A: undecided (incomplete: 18 of 90 cells)."


def test_a_study_without_a_twin_has_no_check(make_study, publish):
    assert compared(publish(make_study(aa=None), lambda cell: 0.9)) is None
