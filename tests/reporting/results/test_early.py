"""A run read before its end: by hand on a curve with corners, and None where it says nothing."""

from __future__ import annotations

import pytest

from fairtrial.reporting.results.early import early

CURVE = [[25, 0.5, 1.2], [50, 0.7, 0.8], [75, 0.8, 0.6], [100, 0.9, 0.5]]


def run(curve=CURVE, status="done"):
    return {"status": status, "spent": {"steps": 100}, "measured": {"val_curve": curve}}


@pytest.mark.parametrize(
    "metric, part, expected",
    [
        ("test_acc", 1.0, 0.85),
        ("test_acc", 0.75, 0.75),
        ("test_acc", 0.6, 0.85 + 0.74 - 0.9),
        ("val_acc", 0.25, 0.45),
        ("test_loss", 0.875, 0.85 + 0.55 - 0.5),
    ],
)
def test_what_validation_still_gained_is_taken_from_the_score(metric, part, expected):
    assert early(run(), 0.85, metric, part) == pytest.approx(expected)


def test_the_end_of_a_run_is_its_score_to_the_last_bit():
    assert early(run(), 0.1 + 0.2, "test_acc", 1.0) == 0.1 + 0.2


@pytest.mark.parametrize("curve", [[], None, CURVE[:-1], [[100, 0.9, 0.5]]])
def test_a_curve_that_is_missing_or_cut_says_nothing(curve):
    assert early(run(curve), 0.85, "test_acc", 0.8) is None


def test_nothing_is_read_before_the_first_evaluation():
    assert early(run(), 0.85, "test_acc", 0.24) is None


def test_a_failed_run_has_its_score_at_every_moment():
    assert early(run([], "diverged"), 0.1, "test_acc", 0.5) == 0.1
