"""Like contrasts that other data, or another preset, decide the other way."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fairtrial.reporting.report.answers import opposed
from fairtrial.study.study import Contrast
from tests.reporting.judging import BN, GN_WS


def found(place, verdict, **changed):
    contrast = Contrast(
        **{"name": "c", "treatment": GN_WS, "control": BN, "at": {"batch_size": 64}} | changed
    )
    return place, SimpleNamespace(verdict=verdict, contrast=contrast)


BY = {"at": {}, "by": {"batch_size": (4, 64)}}


@pytest.mark.parametrize(
    ("second", "pairs"),
    [
        (found("digits", "better"), [([0], [1])]),
        (found("digits", "better", at={"batch_size": 16}), [([0], [1])]),  # two octaves
        (found("digits", "better", at={"batch_size": 8}), []),  # three
        (found("digits", "better", at={"batch_size": 64, "data": "digits"}), [([0], [1])]),
        (found("digits", "worse"), []),
        (found("digits", "inconclusive"), []),
        (found("digits", "better", metric="val_acc"), []),
        (found("digits", "better", at={}), []),
        (found("digits", "better", control={"norm": "bn", "weight_std": True}), []),
        (found("cifar10", "better"), []),  # another setting of the same data
    ],
)
def test_like_contrasts_of_other_data_are_opposed_where_one_is_better_and_one_worse(second, pairs):
    assert opposed([found("cifar10", "worse"), second]) == pairs


def test_the_nearest_level_decides_and_equal_ones_stand_together():
    far = found("digits", "better", at={"batch_size": 32})
    near = found("digits", "worse")
    assert opposed([found("cifar10", "worse"), far, near]) == []
    twice = [found("cifar10", "worse"), found("cifar10", "worse"), far]
    assert opposed(twice) == [([0, 1], [2])]


@pytest.mark.parametrize(
    ("levels", "verdict", "pairs"), [((4, 64), "worse", 1), ((64, 4), "better", 1), ((64, 4), "worse", 0)]
)
def test_an_interaction_declared_from_its_other_level_on_has_the_other_sign(levels, verdict, pairs):
    first, second = (
        found("cifar10", "better", **BY),
        found("digits", verdict, at={}, by={"batch_size": levels}),
    )
    assert len(opposed([first, second])) == pairs
