"""Numbers and names have one spelling."""

from __future__ import annotations

import math

import pytest

from fairtrial.reporting import wording


@pytest.mark.parametrize(
    "p, text",
    [
        (0.00044, "p = 0.0004"),
        (0.00001, "p < 0.0001"),
        (0.0423, "p = 0.042"),
        (0.5, "p = 0.5"),
        (1.0, "p = 1"),
    ],
)
def test_p_values_are_short_and_never_zero(p, text):
    assert wording.p_value(p) == text


def test_there_is_no_negative_zero():
    assert wording.fixed(-0.0004, 1) == "0.0"
    assert wording.fixed(-0.06, 1) == "-0.1"
    assert wording.fixed(math.inf, 1) == "inf"


@pytest.mark.parametrize(
    "seconds, text",
    [
        (45, "45 device-seconds"),
        (720, "12 device-minutes"),
        (3.1 * 3600, "3.1 device-hours"),
        (4e6, "1111 device-hours"),
    ],
)
def test_durations_choose_their_unit(seconds, text):
    assert wording.duration(seconds) == text


def test_a_string_from_a_record_is_one_short_printable_line():
    assert wording.clean("a\nb\tc\x00\u202e\ud800") == "a b c" + 3 * "\N{REPLACEMENT CHARACTER}"
    assert len(wording.clean("x" * 10_000)) == 300


def test_lists_and_plurals_read_as_prose():
    assert [wording.listed(list("abc")[:n]) for n in (0, 1, 2, 3)] == ["", "a", "a and b", "a, b and c"]
    assert (wording.plural(1, "seed"), wording.plural(2, "seed")) == ("1 seed", "2 seeds")


def test_points_are_percent_and_losses_are_not():
    assert wording.SCALES["test_acc"].gap(0.0812) == "8.1 points"
    assert wording.SCALES["test_loss"].gap(0.12) == "0.120 in test loss"


@pytest.mark.parametrize(
    "value, text", [(204_416.0, "204400"), (20.714, "20.71"), (0.0259, "0.0259"), (9999.6, "10000")]
)
def test_a_rounded_number_has_no_exponent(value, text):
    assert wording.rounded(value, 4) == text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1.0, "1 device-seconds"),
        (60, "1 device-minute"),
        (3600, "1 device-hour"),
        (5400, "1.5 device-hours"),
        (360_000, "100 device-hours"),
        (359_000, "100 device-hours"),
    ],
)
def test_device_time_is_one_hour_or_several(seconds, words):
    assert wording.duration(seconds) == words
