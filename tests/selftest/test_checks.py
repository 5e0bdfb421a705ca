"""Every claim of the library holds, every wrong method is caught, and a broken formula is noticed."""

from functools import partial

import numpy as np
import pytest
from scipy.special import ndtri

from fairtrial.rng import ROOT
from fairtrial.selftest import controls, coverage, errors, looking, properties
from fairtrial.selftest.command import CHECKS, CONTROLS
from fairtrial.selftest.harness import DRAWS, EXACT, RESAMPLED, SEQUENTIAL, STUDIES, Check, judge
from fairtrial.stats import binomial, exact, multiplicity, row_intervals, row_tests, sequential, student


def named(checks):
    return pytest.mark.parametrize("check", checks, ids=lambda check: check.name)


@named(CHECKS)
def test_the_claim_holds(check):
    found = judge(check, ROOT)
    assert found.ok, found


@named(CONTROLS)
def test_the_wrong_method_is_caught_at_its_known_rate(check):
    found = judge(check, ROOT)
    assert found.ok, found
    assert found.rate == pytest.approx(check.known, abs=0.03)


def test_the_controls_are_those_of_section_14():
    says = [check.name for check in CONTROLS]
    for word in ("z at", "percentile", "BCa", "read as 12", "after each seed", "one checkpoint", "pointwise"):
        assert sum(word in name for name in says) == 1


def test_names_are_streams_so_none_comes_twice():
    names = [check.name for check in (*CHECKS, *CONTROLS)]
    assert len(set(names)) == len(names)
    rooms = (coverage.CHECKS, errors.CHECKS, looking.CHECKS, looking.CONTROLS, controls.CONTROLS)
    known = {DRAWS, RESAMPLED, STUDIES, SEQUENTIAL, EXACT}
    assert {check.draws for room in rooms for check in room} <= known


def check(name):
    return next(each for each in CHECKS if each.name.startswith(name))


def worse_sign_flips(values):
    return np.maximum(1, exact.flip_hits(values) // 2)


@pytest.mark.parametrize(
    ("owner", "attribute", "broken", "name"),
    [
        (student, "stdtrit", lambda df, q: ndtri(q) + 0 * df, "t of a mean, normal, n = 5"),
        (student, "stdtrit", lambda df, q: ndtri(q) + 0 * df, "paired interaction"),
        (student, "stdtrit", lambda df, q: ndtri(q) + 0 * df, "log ratio"),
        (student, "stdtrit", lambda df, q: ndtri(q) + 0 * df, "power of paired t, n = 5"),
        (row_intervals, "averaged", lambda x, groups: x, "subset means"),
        (binomial, "rank", lambda n, level: (2, 0.96875), "median by ranks, n = 6"),
        (row_tests, "holm_steps", lambda p, alpha: (p, p), "Holm"),
        (row_tests, "flip_hits", worse_sign_flips, "sign flips at .05"),
        (sequential, "_width", lambda n, g, alpha: 2.1, "confidence sequence"),
        (binomial, "ndtri", lambda q: 1.6, "Wilson at 0.9"),
    ],
)
def test_a_broken_formula_is_noticed(monkeypatch, owner, attribute, broken, name):
    monkeypatch.setattr(owner, attribute, broken)
    assert not judge(check(name), ROOT).ok


def test_a_control_that_has_become_right_is_noticed():
    right = Check("right", coverage.AT_95, partial(coverage.mean, n=5), known=0.88)
    assert not judge(right, ROOT).ok


def test_properties_hold_of_every_data_set_or_fail():
    assert all(each.claim == (1.0, 1.0) for each in properties.CHECKS)
    nearly = Check("nearly", (1.0, 1.0), lambda rng, draws: np.arange(draws) > 0)
    assert not judge(nearly, 0).ok


def test_holm_is_held_by_the_formula_that_the_report_uses():
    """The table form and the function share `holm_steps`: one cannot be right without the other."""
    assert row_tests.holm_steps is multiplicity.holm_steps
    assert row_intervals.mean_rows is student.mean_rows
