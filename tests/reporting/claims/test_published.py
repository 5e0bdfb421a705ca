"""Published numbers: what may be quoted, and what may not."""

import json
from importlib import resources

import pytest

from fairtrial.reporting.claims.published import quotable, rows, value

ALL = json.loads(resources.files("fairtrial.reporting.claims").joinpath("published.json").read_text())


def test_rows_carry_their_position_and_nothing_else_is_changed():
    for found in rows():
        assert {name: each for name, each in found.items() if name != "row"} == ALL[found["row"]]


def test_only_verified_primary_rows_without_suspicion_are_given():
    suspect = [row for row in ALL if row.get("note", "").startswith("suspect")]
    unverified = [row for row in ALL if not (row["verified"] and row["primary_source"])]
    assert len(suspect) == 2 and len(unverified) == 54  # as the table of the reference counts them
    assert len(rows()) == len(ALL) - 2 - 54
    assert not any(map(quotable, suspect + unverified))


def test_a_number_is_found_by_what_identifies_it():
    table = rows("1912.11370v3", "Table 3", "box_AP")
    assert [row["value"] for row in table] == [40.8, 41.7, 43.2, 43.8]
    assert value("box_AP", table="Table 3", upstream="jft300m") == 43.8


@pytest.mark.parametrize("which", [{"table": "Table 3"}, {"table": "Table 99"}])
def test_no_number_or_several_are_refused(which):
    with pytest.raises(LookupError, match="expected one"):
        value("box_AP", **which)
