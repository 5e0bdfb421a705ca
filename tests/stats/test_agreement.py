"""Every function with a counterpart in scipy or statsmodels agrees with it on 200 random data sets.

Expected values come from the other library, called as its manual says; tolerances are those of rounding.
"""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower, TTestPower
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW, ttost_paired

from fairtrial import stats

SETS = 200
LEVELS = (0.8, 0.9, 0.95, 0.99)


def near(*values):
    return pytest.approx(values, rel=1e-8, abs=1e-12)


@pytest.fixture
def rng():
    return np.random.default_rng(20260101)


@pytest.fixture
def unequal(rng):
    """200 pairs of samples of unequal size and spread, over six orders of magnitude."""
    sizes, scales = rng.integers(3, 25, size=(SETS, 2)), 10.0 ** rng.uniform(-3, 3, size=SETS)
    return [
        (s * (5 + rng.normal(size=n)), s * (4.5 + 3 * rng.normal(size=m)))
        for (n, m), s in zip(sizes, scales, strict=True)
    ]


def test_the_mean(pairs_of_samples):
    for i, (x, _) in enumerate(pairs_of_samples):
        level = LEVELS[i % 4]
        got, want = stats.mean_interval(x, level), scipy_stats.ttest_1samp(x, 0).confidence_interval(level)
        assert (got.low, got.high) == near(*want)
        assert (got.low, got.high) == near(*DescrStatsW(x).tconfint_mean(1 - level))


def test_the_paired_difference(pairs_of_samples):
    for i, (a, b) in enumerate(pairs_of_samples):
        level = LEVELS[i % 4]
        got, want = stats.paired_interval(a, b, level), scipy_stats.ttest_rel(a, b)
        assert (got.t, got.df) == near(want.statistic, want.df)
        assert got.p == pytest.approx(want.pvalue, rel=1e-8)
        assert (got.low, got.high) == near(*want.confidence_interval(level))
        assert got.r == pytest.approx(scipy_stats.pearsonr(a, b).statistic, abs=1e-10)


def test_welch(unequal):
    for i, (a, b) in enumerate(unequal):
        level = LEVELS[i % 4]
        got, want = stats.welch_interval(a, b, level), scipy_stats.ttest_ind(a, b, equal_var=False)
        assert (got.t, got.df) == near(want.statistic, want.df)
        assert got.p == pytest.approx(want.pvalue, rel=1e-8)
        assert (got.low, got.high) == near(*want.confidence_interval(level))
        other = CompareMeans(DescrStatsW(a), DescrStatsW(b)).tconfint_diff(1 - level, usevar="unequal")
        assert (got.low, got.high) == near(*other)


def test_the_ratio(pairs_of_samples):
    for a, b in pairs_of_samples:
        a, b = (np.exp(each / np.abs(each).max()) for each in (a, b))
        got, want = stats.ratio_interval(a, b), scipy_stats.ttest_rel(np.log(a), np.log(b))
        assert (got.low, got.high) == near(*np.exp(want.confidence_interval()))
        assert got.estimate == pytest.approx(scipy_stats.gmean(a) / scipy_stats.gmean(b))


def test_the_interaction(rng):
    for _ in range(SETS):
        cells = rng.normal(size=(4, rng.integers(3, 20)))
        got = stats.interaction_interval(*cells)
        want = scipy_stats.ttest_rel(cells[0] - cells[1], cells[2] - cells[3])
        assert (got.low, got.high, got.t, got.p) == near(
            *want.confidence_interval(), want.statistic, want.pvalue
        )


def test_proportions(rng):
    for i in range(SETS):
        n, level = int(rng.integers(1, 2000)), LEVELS[i % 4]
        k = int(rng.integers(0, n + 1)) if i % 5 else (0, n)[i % 2]
        got = stats.clopper_pearson(k, n, level)
        assert (got.low, got.high) == near(*proportion_confint(k, n, 1 - level, method="beta"))
        want = scipy_stats.binomtest(k, n).proportion_ci(level, method="exact")
        assert (got.low, got.high) == near(*want)


def test_holm(rng, monkeypatch):
    monkeypatch.setattr("gc.collect", lambda: 0)  # of multipletests, each time: a minute among other tests
    for _ in range(SETS):
        p = np.round(rng.random(rng.integers(1, 15)) ** 3, 3)  # rounded, so that ties occur
        reject, adjusted, *_ = multipletests(p, method="holm")
        got = stats.holm(p)
        assert got.adjusted_p == pytest.approx(adjusted)
        assert got.reject.tolist() == reject.tolist()


def test_equivalence(pairs_of_samples):
    said = set()
    for a, b in pairs_of_samples:
        low, high = -0.8 * np.std(a), 1.4 * np.std(a)
        got = stats.tost(a, b, margin=(low, high))
        p, lower, upper = ttost_paired(a, b, low, high)
        assert (got.t_lower, got.t_upper, got.p) == near(lower[0], upper[0], p)
        assert (got.p_lower, got.p_upper) == near(lower[1], upper[1])
        assert got.equivalent == (p < 0.05)
        said.add(got.equivalent)
    assert said == {True, False}


def test_sign_flips(rng):
    for _ in range(SETS):
        d = rng.normal(0.8, 1, size=6)
        want = scipy_stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=math.inf)
        assert stats.sign_flip_p(d).p == pytest.approx(want.pvalue)


def test_power_of_pairs_and_of_two_samples(rng):
    for _ in range(SETS):
        n, effect, alpha = int(rng.integers(2, 60)), rng.uniform(0.05, 3), rng.choice([0.01, 0.05, 0.1])
        want = TTestPower().power(effect, n, alpha)
        if not math.isnan(want):  # of scipy's far tail
            assert stats.power(n, effect, alpha=alpha) == pytest.approx(want, abs=1e-7)
        want = TTestIndPower().power(effect, n, alpha)
        if not math.isnan(want):
            assert stats.power(n, effect, alpha=alpha, paired=False) == pytest.approx(want, abs=1e-7)


def test_seeds_and_detectable_effects(rng):
    for i in range(SETS):
        effect, power, paired = rng.uniform(0.4, 2.5), rng.choice([0.7, 0.8, 0.9]), bool(i % 2)
        oracle = (TTestPower if paired else TTestIndPower)()
        n = stats.seeds_needed(effect, power=power, paired=paired)
        assert oracle.power(effect, n, 0.05) >= power - 1e-9
        assert n == 2 or not oracle.power(effect, n - 1, 0.05) >= power + 1e-9
        least = stats.minimal_detectable_effect(n, power=power, paired=paired)
        assert oracle.power(least, n, 0.05) == pytest.approx(power, abs=1e-6)


def test_the_trimmed_mean(rng):
    for _ in range(SETS):
        x = rng.standard_t(3, size=rng.integers(6, 40))
        got = stats.trimmed_interval(x)
        assert got.estimate == pytest.approx(scipy_stats.trim_mean(x, 0.2))
        h = len(x) - 2 * int(0.2 * len(x))
        cut = int(0.2 * len(x)) / len(x) + 1e-9
        wide = np.asarray(scipy_stats.mstats.winsorize(x, (cut, cut))).std(ddof=1)
        half = scipy_stats.t.ppf(0.975, h - 1) * wide * math.sqrt((len(x) - 1) / (h * (h - 1)))
        assert got.high - got.estimate == pytest.approx(half, rel=1e-9)


def test_the_pointwise_band_is_the_interval_of_each_checkpoint(rng):
    for _ in range(SETS):
        curves = rng.normal(size=(rng.integers(3, 12), 4)).cumsum(axis=1)
        got = stats.simultaneous_band(curves)
        each = scipy_stats.ttest_1samp(curves, 0)
        assert got.pointwise_low == pytest.approx(each.confidence_interval(0.95).low)
        assert got.high == pytest.approx(each.confidence_interval(1 - 0.05 / 4).high)
