"""Westfall and Young against plain enumeration."""

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from fairtrial.stats import holm, sign_flip_p, westfall_young


def by_hand(diffs):
    """Raw and adjusted p from the t values of every flipped table, in floating point without tricks."""

    def t(table):
        return np.abs(stats.ttest_1samp(table, 0).statistic)

    observed = t(diffs)
    flips = np.array([t(diffs * np.array(signs)[:, None]) for signs in product((-1, 1), repeat=len(diffs))])
    order = np.argsort(-observed)
    adjusted, floor = np.empty(len(observed)), 0.0
    for place, j in enumerate(order):
        floor = max(floor, np.mean(flips[:, order[place:]].max(axis=1) >= observed[j] - 1e-9))
        adjusted[j] = floor
    return np.mean(flips >= observed - 1e-9, axis=0), adjusted


@pytest.mark.parametrize("seed", range(8))
def test_every_flip_is_counted(seed):
    rng = np.random.default_rng(seed)
    diffs = rng.normal(size=(7, 1)) + rng.normal(size=(7, 4)) + rng.normal(0, 1, size=4)
    raw, adjusted = by_hand(diffs)
    got = westfall_young(diffs)
    assert got.raw_p == pytest.approx(raw)
    assert got.adjusted_p == pytest.approx(adjusted)
    assert got.t == pytest.approx(np.abs(stats.ttest_1samp(diffs, 0).statistic))


def test_one_contrast_is_the_sign_flip_test():
    d = np.random.default_rng(1).normal(0.8, 1, size=9)
    assert westfall_young(d[:, None]).adjusted_p[0] == sign_flip_p(d).p


def test_it_is_never_stricter_than_holm_on_the_same_raw_p():
    rng = np.random.default_rng(2)
    shared = rng.normal(size=(10, 1))
    got = westfall_young(1 + shared + 0.3 * rng.normal(size=(10, 5)))
    assert np.all(got.adjusted_p <= holm(got.raw_p).adjusted_p + 1e-12)
    assert np.any(got.adjusted_p < holm(got.raw_p).adjusted_p - 1e-3)


def test_a_constant_column_has_infinite_t_and_an_empty_one_none():
    table = np.column_stack([np.full(8, 0.3), np.zeros(8), np.arange(8) - 3.0])
    got = westfall_young(table)
    assert got.t[0] == math.inf
    assert got.t[1] == 0
    assert got.adjusted_p[0] == pytest.approx(2 / 2**8)
    assert got.adjusted_p[1] == 1


def test_columns_may_be_named_and_are_joined_on_their_seeds():
    table = np.random.default_rng(3).normal(size=(6, 2))
    named = {"gn": dict(enumerate(table[:, 0])), "ln": dict(reversed(list(enumerate(table[:, 1]))))}
    assert westfall_young(named).adjusted_p == pytest.approx(westfall_young(table).adjusted_p)
    named["ln"].pop(0)
    with pytest.raises(ValueError, match=r"gn and ln differ in seeds: only in gn \[0\]"):
        westfall_young(named)


def test_many_seeds_are_flipped_at_random_and_need_a_generator():
    table = np.random.default_rng(4).normal(size=(30, 3)) + np.array([0, 0.45, 1.5])
    with pytest.raises(ValueError, match=r"more than 20 seeds.*pass rng"):
        westfall_young(table)
    got = westfall_young(table, rng=1)
    assert not got.exact
    want = stats.ttest_1samp(table, 0).pvalue  # flips and t agree at n = 30
    assert got.raw_p == pytest.approx(want, abs=0.03)
    assert got.adjusted_p.tolist() == westfall_young(table[::-1], rng=1).adjusted_p.tolist()
    assert got.adjusted_p.tolist() != westfall_young(table, rng=2).adjusted_p.tolist()


def test_four_seeds_cannot_reject_and_are_told_so():
    assert "cannot reject at n = 4" in westfall_young(np.arange(8.0).reshape(4, 2)).warnings[0]


@pytest.mark.parametrize("diffs", [{}, [], [1.0, 2.0], [[1.0, math.nan], [1.0, 2.0]]])
def test_what_is_no_table_is_refused(diffs):
    with pytest.raises(ValueError, match="diffs"):
        westfall_young(diffs)
