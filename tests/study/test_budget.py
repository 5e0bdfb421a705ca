"""What a cell may spend: kinds, units, steps; the ledger with a fake clock; how far apart arms are."""

import math

import pytest

from fairtrial.study.budget import KINDS, UNITS, Budget, parity_gap, quantity


@pytest.mark.parametrize(
    ("text", "kind", "amount"),
    [
        ("4000ex", "examples", 4000),
        ("4kex", "examples", 4000),
        ("1.001kex", "examples", 1001),  # 1.001 * 1000 is 1000.9999999999999
        ("500st", "steps", 500),
        ("60s", "seconds", 60),
        ("1m", "seconds", 60),
        ("0.5min", "seconds", 30),
        ("2h", "seconds", 7200),
        ("3flop", "flops", 3),
        ("3mflop", "flops", 3e6),
        ("2gflop", "flops", 2e9),
        ("1.5tflop", "flops", 1.5e12),
        (" 4E3 EX ", "examples", 4000),
    ],
)
def test_a_budget_is_read_from_text(text, kind, amount):
    budget = Budget.parse(text)
    assert (budget.kind, budget.amount) == (kind, amount)


def test_every_unit_is_of_a_known_kind():
    assert {kind for kind, _ in UNITS.values()} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("amount", [1, 3072, 10**12, 12345678901234567, 1e22])
def test_a_budget_survives_its_text(kind, amount):
    budget = Budget(**{kind: amount})
    assert Budget.parse(str(budget)).amount == budget.amount


@pytest.mark.parametrize("amount", [0.1, 1 / 3, 59.99999999999999, 1e-9])
def test_seconds_survive_their_text(amount):
    assert Budget.parse(str(Budget(seconds=amount))) == Budget(seconds=amount)


def test_the_text_of_a_budget_is_part_of_every_identity():
    texts = [
        str(Budget(examples=3072)),
        str(Budget(steps=500)),
        str(Budget(seconds=60.0)),
        str(Budget(flops=2e9)),
    ]
    assert texts == ["3072ex", "500st", "60s", "2000000000flop"]


@pytest.mark.parametrize(
    "text", ["", "60", "s", "ten s", "10 parsecs", "1e3", "60 s s", "0x10s", "1,5s", "inf s"]
)
def test_a_text_without_number_or_unit_lists_the_units(text):
    with pytest.raises(ValueError, match=r"is not a number with a unit; units: ex \(examples\)"):
        quantity(text)


def test_a_number_with_two_points_is_no_number():
    with pytest.raises(ValueError, match=r"'1\.2\.3' is not a number"):
        quantity("1.2.3s")


@pytest.mark.parametrize("amount", [0, -1, math.nan, math.inf, 10**400])
@pytest.mark.parametrize("kind", KINDS)
def test_an_amount_is_finite_and_above_zero(kind, amount):
    with pytest.raises(ValueError, match="is not a finite number above 0"):
        Budget(**{kind: amount})


@pytest.mark.parametrize("amount", [True, "60", [1]])
def test_an_amount_is_a_number(amount):
    with pytest.raises(ValueError, match="is not a number"):
        Budget(seconds=amount)


@pytest.mark.parametrize("kind", ["examples", "steps"])
def test_what_is_counted_is_whole(kind):
    with pytest.raises(ValueError, match="not a whole number"):
        Budget(**{kind: 2.5})
    assert Budget(**{kind: 2.0}) == Budget(**{kind: 2})


@pytest.mark.parametrize("given", [{}, {"steps": 1, "seconds": 1}])
def test_a_budget_has_exactly_one_kind(given):
    with pytest.raises(ValueError, match="exactly one of examples, steps, flops, seconds"):
        Budget(**given)


def test_steps_that_a_budget_buys():
    assert Budget(steps=7).steps_for(64) == 7
    assert Budget(examples=3072).steps_for(64) == 48
    assert (
        Budget(examples=100).steps_for(64) == 2
    )  # the nearest number, so spending is off by half a step at most
    assert Budget(examples=10).steps_for(64) == 1  # at least one
    assert Budget(flops=1e9).steps_for(64, step_flops=2.5e8) == 4
    assert Budget(seconds=60).steps_for(64, step_seconds=0.05) == 1200


@pytest.mark.parametrize("kind", ["flops", "seconds"])
def test_steps_need_the_price_of_one(kind):
    with pytest.raises(ValueError, match=f"needs the {kind} of one step"):
        Budget(**{kind: 60}).steps_for(64)


@pytest.mark.parametrize(
    ("spent", "gap"),
    [
        ([10.0], 0.0),
        ([10, 10, 10], 0.0),
        ([10, 10.2], 0.02),
        ([3, 2, 4], 1.0),
        ([0, 0], 0.0),
        ([0, 1], math.inf),
    ],
)
def test_parity_gap_is_relative_to_the_smallest(spent, gap):
    assert parity_gap(spent) == pytest.approx(gap)
