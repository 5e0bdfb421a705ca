"""Claims rest on rows that may be quoted, and an interval decides them by their rule."""

import math

import pytest

from fairtrial.reporting.claims import published
from fairtrial.reporting.claims import published_claims as ledger
from fairtrial.reporting.claims.published_claims import (
    MEASURES,
    RULES,
    SHOWN,
    Part,
    answer,
    claims,
    distance,
    together,
)

SUPPORTED, CONTRADICTED, MIXED, UNDECIDED, NOT_COMPARABLE = ledger.ANSWERS


def part(rule="above", bound=0.0, unit=None):
    return Part("a part", "contrast", rule, bound, {}, {}, (), unit, ())


def test_every_reference_of_a_claim_was_read_at_its_source_and_is_not_suspect():
    found = ledger.references()
    assert len(found) >= 20
    for row in found:
        assert row["verified"] is True and row["primary_source"] is True
        assert not row.get("note", "").startswith("suspect")


@pytest.mark.parametrize(
    "reference",
    [
        {"table": "Table 6", "setting": {"model": "R101x1", "bit": "L", "crop": "resize_crop"}},  # suspect
        {"table": "Table 2", "setting": {"norm": "bn", "batch_per_gpu": 16}},  # a secondary copy
        {"table": "Table 4", "setting": {"norm": "gn"}},  # two rows
    ],
)
def test_a_row_that_may_not_be_quoted_or_is_not_one_row_is_no_reference(reference):
    with pytest.raises(ValueError, match="one is needed"):
        ledger.row_of(reference)


def test_published_numbers_ship_as_they_are():
    assert len(published._all()) == 469
    assert ledger.row_of({"source": "derived from BiT Table 4"})["value"] == 5.6


@pytest.mark.parametrize(
    ("claim", "number", "values"),
    [
        ("ws-repairs-gn", 0, (0.056,)),
        ("ws-repairs-gn", 1, (0.004,)),  # 76.0 - 75.6
        ("ws-repairs-gn", 2, (-0.054,)),  # 70.2 - 75.6
        ("gn-ws-transfers", 0, (0.0267,)),
        ("ws-alone-does-not-transfer", 0, (-0.0094,)),
        ("bn-fails-at-tiny-batch", 0, (-0.111,)),  # errors 23.6 and 34.7
        ("bn-fails-at-tiny-batch", 1, (0.0,)),
        ("one-shot-is-noisy", 0, (0.0635,)),
        ("gn-ws-costs-time", 0, (585.83 / 1288.61, 587.0 / 880.1)),  # -55 to -33 %
    ],
)
def test_published_values_are_in_the_unit_of_our_records(claim, number, values):
    found = next(each for each in claims() if each.id == claim).parts[number].published
    assert found == pytest.approx(values, abs=1e-12)


def test_every_claim_says_what_it_needs_and_when_it_is_supported():
    found = claims()
    assert len({claim.id for claim in found}) == len(found) == 11
    for claim in found:
        assert claim.needs and claim.rule and claim.source and claim.figure
        for each in claim.parts:
            assert each.measure in MEASURES and each.rule in RULES
            assert not any("BiT" in preset for preset in each.name.split())
        assert not claim.parts or any(each.rule != SHOWN for each in claim.parts)


@pytest.mark.parametrize(
    ("rule", "bound", "low", "high", "said"),
    [
        ("above", 0.0, 0.01, 0.03, SUPPORTED),
        ("above", 0.0, -0.03, -0.01, CONTRADICTED),
        ("above", 0.0, -0.01, 0.01, UNDECIDED),
        ("above", 0.0, 0.0, 0.01, UNDECIDED),  # a limit on the bound decides nothing
        ("above", -0.01, -0.009, 0.0, SUPPORTED),
        ("above", -0.01, -0.05, -0.02, CONTRADICTED),
        ("below", 1.0, 0.4, 0.9, SUPPORTED),
        ("below", 1.0, 1.1, 1.2, CONTRADICTED),
        ("no gain", 0.0, -0.02, 0.009, SUPPORTED),
        ("no gain", 0.0, 0.001, 0.009, SUPPORTED),  # a gain too small to matter
        ("no gain", 0.0, 0.001, 0.02, CONTRADICTED),
        ("no gain", 0.0, -0.01, 0.02, UNDECIDED),
        ("shown", 0.0, 0.5, 0.6, SHOWN),
        ("above", 0.0, -math.inf, math.inf, UNDECIDED),
    ],
)
def test_an_interval_decides_by_the_rule(rule, bound, low, high, said):
    assert answer(part(rule, bound), low, high, margin=0.01) == said


@pytest.mark.parametrize(
    ("inside", "low", "high", "said"),
    [(True, -0.001, 0.002, SUPPORTED), (False, 0.02, 0.03, CONTRADICTED), (False, -0.02, 0.03, UNDECIDED)],
)
def test_flat_is_equivalence_and_not_a_missing_difference(inside, low, high, said):
    assert answer(part("flat"), low, high, margin=0.01, inside=inside) == said


@pytest.mark.parametrize(
    ("units", "said"), [(None, UNDECIDED), (1, UNDECIDED), (2, UNDECIDED), (3, SUPPORTED)]
)
def test_a_claim_over_upstream_seeds_needs_three_of_them(units, said):
    assert answer(part(unit="upstream checkpoint"), 0.01, 0.02, units=units) == said


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([[SUPPORTED], [SUPPORTED]], SUPPORTED),
        ([[CONTRADICTED], [CONTRADICTED], [UNDECIDED]], CONTRADICTED),
        ([[SUPPORTED], [SUPPORTED], [CONTRADICTED]], MIXED),  # one part does not outvote the rest
        ([[SUPPORTED], [UNDECIDED]], SUPPORTED),
        ([[SUPPORTED], []], SUPPORTED),
        ([[UNDECIDED], [NOT_COMPARABLE], [SHOWN]], UNDECIDED),
        ([[SUPPORTED, CONTRADICTED]], MIXED),  # studies disagree
        ([[MIXED], [SUPPORTED]], MIXED),
        ([[NOT_COMPARABLE], [SHOWN]], NOT_COMPARABLE),
        ([[SUPPORTED, UNDECIDED]], SUPPORTED),
        ([[], []], NOT_COMPARABLE),
        ([], NOT_COMPARABLE),
    ],
)
def test_parts_and_studies_come_to_one_answer(answers, said):
    assert together(answers) == said


def test_distance_is_signed_and_nothing_within_a_range():
    assert distance(0.05, (0.02,)) == pytest.approx(0.03)
    assert distance(0.3, (0.45, 0.67)) == pytest.approx(-0.15)
    assert distance(0.8, (0.45, 0.67)) == pytest.approx(0.13)
    assert distance(0.5, (0.45, 0.67)) == 0
    assert distance(0.5, ()) is None
