"""The A/A check is quiet, too wide to tell, or sounds the alarm."""

from __future__ import annotations

import pytest

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
