"""Faults: three parts, one line each, and every problem."""

import json
import pickle

import pytest

from fairtrial import errors
from fairtrial.errors import Fault, Problem, did_you_mean, fault, shown


def test_exit_codes_are_those_of_the_design():
    names = "DONE FAILED_CELLS USAGE BAD_INPUT REFUSED INCOMPLETE RESOURCES REGRESSION PREEMPTED INTERRUPTED"
    assert [getattr(errors, name) for name in names.split()] == [0, 1, 2, 3, 4, 5, 6, 7, 75, 130]


def test_a_problem_is_a_block_of_three_lines():
    block = Problem(
        "shots=25 needs 25 images; there are 19", "ablations/shots.py:14", "use shots <= 19"
    ).block()
    assert block == (
        "error: shots=25 needs 25 images; there are 19\n"
        "  where: ablations/shots.py:14\n"
        "  do:    use shots <= 19"
    )


def test_control_characters_do_not_break_a_block():
    block = Problem("first\nsecond\x1b[2J", "a\rb", "c\udcff").block()
    assert block == "error: first\\nsecond\\x1b[2J\n  where: a\\rb\n  do:    c\\udcff"


def test_a_fault_shows_twenty_problems_and_counts_the_rest():
    many = Fault([Problem(str(number), "here", "mend it") for number in range(23)])
    assert many.block().count("error: ") == 20
    assert many.block().endswith("... and 3 more of 23")
    assert len(many.objects()) == 23


def test_a_fault_as_objects_carries_the_code_in_each():
    found = Fault([Problem("a", "b", "c"), Problem("d", "e", "f")], code=3)
    assert found.objects() == [
        {"code": 3, "what": "a", "where": "b", "do": "c"},
        {"code": 3, "what": "d", "where": "e", "do": "f"},
    ]


def test_a_fault_comes_whole_from_another_process():
    sent = errors.Shortage((Problem("a", "b", "c"), Problem("d", "e", "f")), errors.RESOURCES)
    here = pickle.loads(pickle.dumps(sent))
    assert (type(here), here.problems, here.code) == (errors.Shortage, sent.problems, sent.code)


def test_a_record_rebuilds_its_fault():
    record = json.loads(json.dumps(fault("a", "b", "c", 4).record()))
    again = Fault([Problem(**problem) for problem in record["problems"]], record["code"])
    assert (again.problems, again.code) == ((Problem("a", "b", "c"),), 4)


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("nrom", "norm"),
        ("normalisation", "norm"),
        ("mixups", "mixup"),
        ("NORM", "norm"),
        ("zzz", None),
        (7, None),
    ],
)
def test_the_nearest_name_is_offered(word, near):
    said = did_you_mean(word, ["model", "norm", "mixup", "resolution"])
    assert said == (f", did you mean {near!r}?" if near else "")


def test_any_value_is_shown_on_one_short_line():
    assert shown("gn") == "'gn'"
    assert shown("x" * 500) == "'" + "x" * 59 + "... (502 characters)"
    assert shown(10**5000) == "int of thousands of digits"
