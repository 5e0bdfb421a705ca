"""Holm and Benjamini-Hochberg."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from fairtrial.stats import benjamini_hochberg, holm, holm_levels, paired_interval

WORKED = [0.004, 0.03, 0.011, 0.25, 0.049]


def test_the_worked_family():
    down, up = holm(WORKED), benjamini_hochberg(WORKED)
    assert down.adjusted_p == pytest.approx([0.02, 0.09, 0.044, 0.25, 0.098], abs=5e-5)
    assert down.reject.tolist() == [True, False, True, False, False]
    assert up.adjusted_p == pytest.approx([0.02, 0.05, 0.0275, 0.25, 0.06125], abs=5e-5)
    assert up.reject.tolist() == [True, True, True, False, False]


def test_both_agree_with_statsmodels():
    rng = np.random.default_rng(1)
    for _ in range(200):
        p = np.round(rng.uniform(size=rng.integers(1, 15)) ** 3, 3)  # rounded, so that ties occur
        for function, name in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
            reject, adjusted, *_ = multipletests(p, method=name)
            got = function(p)
            assert got.adjusted_p == pytest.approx(adjusted, abs=1e-12)
            assert got.reject.tolist() == reject.tolist()


def test_each_contrast_has_the_level_of_its_step_and_the_rest_that_of_the_stop():
    got = holm(WORKED)
    assert got.step.tolist() == [1, 3, 2, 3, 3]
    assert got.step_level == pytest.approx(1 - 0.05 / np.array([5, 3, 4, 3, 3]))
    assert holm_levels(WORKED).tolist() == got.step_level.tolist()


def test_one_contrast_is_tested_at_95_percent():
    assert holm_levels([0.2]).tolist() == [0.95]


def test_all_rejected_reach_the_last_step():
    assert holm([0.001, 0.002, 0.003]).step.tolist() == [1, 2, 3]


def test_a_declared_look_divides_alpha():
    assert holm_levels([0.2, 0.1], alpha=0.05 / 3) == pytest.approx([1 - 0.05 / 6] * 2)


def test_the_interval_at_the_step_level_excludes_0_exactly_where_holm_rejects():
    rng = np.random.default_rng(4)
    rejected = 0
    for _ in range(100):
        arms = rng.normal(size=(4, 8)) + np.array([[0.0], [0.5], [1.0], [1.5]])
        control = rng.normal(size=8)
        family = holm([paired_interval(arm, control).p for arm in arms])
        for arm, reject, level in zip(arms, family.reject, family.step_level, strict=True):
            limits = paired_interval(arm, control, level)
            assert (limits.low > 0 or limits.high < 0) == reject
        rejected += family.reject.sum()
    assert 50 < rejected < 350  # both outcomes were seen


def test_a_row_of_the_family_carries_its_place():
    row = holm(WORKED).at(1)
    assert (row.p, row.adjusted_p, row.reject, row.step, row.family) == (
        0.03,
        pytest.approx(0.09),
        False,
        3,
        5,
    )


@pytest.mark.parametrize("function", [holm, benjamini_hochberg])
def test_an_empty_family_is_an_empty_record(function):
    got = function([])
    assert got.n == 0
    assert got.adjusted_p.size == got.reject.size == 0


@pytest.mark.parametrize("function", [holm, benjamini_hochberg])
@pytest.mark.parametrize("p", [[0.1, 1.1], [-0.1], [float("nan")], [[0.1]]])
def test_what_is_no_p_value_is_refused(function, p):
    with pytest.raises(ValueError, match="p "):
        function(p)


def test_a_mapping_keeps_its_order():
    assert holm({"gn": 0.2, "ln": 0.001}).reject.tolist() == [False, True]
