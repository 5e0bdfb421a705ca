"""Records are frozen and become strict JSON."""

import dataclasses
import json
import math

import numpy as np
import pytest

from fairtrial.stats import holm, mean_interval, paired_interval, verdict
from fairtrial.stats.records import plain


def test_a_record_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        mean_interval([1, 2, 3]).low = 0


def test_infinite_limits_are_null_in_json():
    row = json.loads(json.dumps(plain(mean_interval([1, 2])), allow_nan=False))
    assert row["low"] is None
    assert row["high"] is None
    assert row["estimate"] == 1.5
    assert row["warnings"] == ["no interval: fewer than 3 replication units"]


def test_every_interval_carries_its_unit_its_scope_its_method_and_its_n():
    row = paired_interval([1, 2, 4], [1, 1, 1], unit="checkpoint", scope="new images")
    assert (row.unit, row.scope, row.method, row.n) == ("checkpoint", "new images", "paired t", 3)
    assert row.level == 0.95


def test_the_defaults_are_seed_and_this_test_set():
    row = mean_interval([1, 2, 4])
    assert (row.unit, row.scope) == ("seed", "this test set")


def test_arrays_and_nested_records_become_lists_and_dicts():
    family = holm([0.01, 0.2])
    row = json.loads(json.dumps(plain(family), allow_nan=False))
    assert row["reject"] == [True, False]
    nested = verdict((0.1, 0.2), (0.1, 0.2), 0.01, holm=family.at(0))
    assert json.loads(json.dumps(plain(nested), allow_nan=False))["holm"]["step"] == 1


def test_plain_keeps_finite_numbers_and_drops_infinite_ones():
    assert plain((1, 2.5, np.float64(3), np.array([math.inf, 1.0]), None, "x")) == [
        1,
        2.5,
        3.0,
        [None, 1.0],
        None,
        "x",
    ]
