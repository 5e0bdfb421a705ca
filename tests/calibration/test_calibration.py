"""Every claim of the library holds, every wrong method is caught, and a broken formula is noticed."""

from functools import partial

import numpy as np
import pytest
from scipy.special import ndtri

from fairtrial.rng import ROOT
from fairtrial.stats import hypothesis_tests, inputs, sequential, student
from tests.calibration import (
    coverage_claims,
    error_claims,
    interim_claims,
    invariants,
    tuned_claims,
    wrong_methods,
)
from tests.calibration.claims import AT_95, SEQUENTIAL, Check, judge

CHECKS = (
    *coverage_claims.CHECKS,
    *error_claims.CHECKS,
    *interim_claims.CHECKS,
    *invariants.CHECKS,
    *tuned_claims.CHECKS,
)
CONTROLS = (*interim_claims.CONTROLS, *tuned_claims.CONTROLS, *wrong_methods.CONTROLS)
# What `tox -e tests` runs of them: intervals, error rates, a rule of stopping, wrong methods.
QUICK = (
    "t of a mean, normal, n = 3", "subset means", "Clopper-Pearson at 0.9,",
    "TOST at the margin, n = 6", "sign flips at .05", "confidence sequence, any n", "a NaN is refused",
    "tuned",
    "z at", "percentile", "4 subsets", "one checkpoint",
)  # fmt: skip


def named(checks):
    """A test for each check; those that are not quick are left to `tox -e selftest`."""
    return pytest.mark.parametrize(
        "check",
        [
            pytest.param(
                check, id=check.name, marks=() if check.name.startswith(QUICK) else pytest.mark.selftest
            )
            for check in checks
        ],
    )


@named(CHECKS)
def test_the_claim_holds(check, outcome_of):
    outcome = outcome_of(check)
    assert outcome.ok, outcome


@named(CONTROLS)
def test_the_wrong_method_is_caught_at_its_known_rate(check, outcome_of):
    outcome = outcome_of(check)
    assert outcome.ok, outcome
    assert outcome.rate == pytest.approx(check.known, abs=0.03)


def test_the_controls_are_those_of_section_14():
    names = [check.name for check in CONTROLS]
    for word in ("z at", "percentile", "read as 12", "after each seed", "one checkpoint", "pointwise"):
        assert sum(word in name for name in names) == 1


def test_names_are_streams_so_none_comes_twice():
    names = [check.name for check in (*CHECKS, *CONTROLS)]
    assert len(set(names)) == len(names)
    assert all(any(name.startswith(quick) for name in names) for quick in QUICK)


def check(name):
    return next(each for each in CHECKS if each.name.startswith(name))


NORMAL = (student, "critical", lambda alpha, df: -ndtri(alpha / 2))


@pytest.mark.parametrize(
    ("owner", "attribute", "broken", "name"),
    [
        (*NORMAL, "t of a mean, normal, n = 5"),
        *(
            pytest.param(*NORMAL, name, marks=pytest.mark.soak)
            for name in ("paired interaction", "log ratio", "power of paired t, n = 5")
        ),
        (inputs, "_averaged", lambda values, labels: values, "subset means"),
        (hypothesis_tests, "_all_flips", lambda values, least: 1, "sign flips at .05"),
        (*NORMAL, "TOST"),
        (sequential, "_width", lambda n, g, alpha: 2.1, "confidence sequence"),
    ],
)
def test_a_broken_formula_is_noticed(monkeypatch, owner, attribute, broken, name):
    monkeypatch.setattr(owner, attribute, broken)
    assert not judge(check(name), ROOT).ok


def test_a_control_that_has_become_right_is_noticed():
    right = Check("right", AT_95, partial(coverage_claims.mean, n=5), known=0.88)
    assert not judge(right, ROOT).ok


def test_an_invariant_holds_of_every_data_set_or_fails():
    assert all(each.claim == (1.0, 1.0) for each in invariants.CHECKS)
    nearly = Check("nearly", (1.0, 1.0), lambda rng, draws: np.arange(draws) > 0)
    assert not judge(nearly, 0).ok


def test_repeated_looks_are_judged_on_enough_studies():
    assert {each.draws for each in (*interim_claims.CHECKS, *interim_claims.CONTROLS)} == {SEQUENTIAL}
