"""The A/A check says "no difference", or sounds the alarm."""

from __future__ import annotations

from fairtrial.reporting.results import load
from fairtrial.reporting.verdicts import aa_check


def compared(store, **options):
    return aa_check.compare(load.load(store), **options)


def test_an_arm_equals_itself(make_study, publish, noise):
    found = compared(publish(make_study(), lambda cell: 0.9 + 0.005 * noise(cell, "acc")))
    assert found.holds is True
    assert found.sentence.startswith("A/A: no difference (gn+ws, batch 64: ")
    assert found.sentence.endswith("n = 10, at 99 %).")


def test_an_arm_that_differs_from_itself_is_an_alarm(make_study, publish, noise):
    found = compared(
        publish(make_study(), lambda cell: 0.9 - 0.05 * cell.replica + 0.005 * noise(cell, "acc"))
    )
    assert found.alarm
    assert found.sentence.startswith("A/A ALARM: gn+ws, batch 64 differs from itself (")


def test_the_same_values_twice_are_an_alarm_too(make_study, publish):
    found = compared(publish(make_study(), lambda cell: 0.9 + cell.seed / 1000))
    assert found.alarm and "do the draws reach the network at all?" in found.sentence


def test_failed_runs_of_the_twin_stay_in_n(make_study, publish, noise):
    found = compared(
        publish(
            make_study(), lambda c: "diverged" if c.replica and c.seed < 2 else 0.9 + 0.01 * noise(c, "a")
        )
    )
    assert found.interval.n == 10 and found.differences[0] < -0.7


def test_an_incomplete_study_leaves_it_open(make_study, publish):
    store = publish(make_study(), lambda cell: 0.9 if cell.seed < 2 else None)
    assert compared(store).sentence == "A/A: undecided (incomplete: 18 of 90 cells)."


def test_a_study_without_a_twin_has_no_check(make_study, publish):
    assert compared(publish(make_study(aa=None), lambda cell: 0.9)) is None
