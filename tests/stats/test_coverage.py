"""Intervals cover what they claim, and the check catches those that do not (STATISTICS.md, section 14)."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from fairtrial.stats import (
    holm,
    interaction_interval,
    mean_interval,
    median_interval,
    paired_interval,
    ratio_interval,
    sign_flip_p,
    tost,
    welch_interval,
)

R = 4000  # a true coverage of .93 is then reliably caught


def hits(intervals, truth=0.0):
    return sum(interval.low <= truth <= interval.high for interval in intervals)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_t_covers_the_mean_of_normal_data(n, is_rate):
    x = np.random.default_rng([1, n]).normal(7, 2, size=(R, n))
    assert is_rate(hits(map(mean_interval, x), 7), R, 0.95)


def test_paired_t_covers_at_correlation_point_eight(is_rate):
    rng = np.random.default_rng(2)
    shared, a, b = rng.normal(size=(3, R, 5))
    a, b = np.sqrt(0.8) * shared + np.sqrt(0.2) * a + 1, np.sqrt(0.8) * shared + np.sqrt(0.2) * b
    assert is_rate(hits(map(paired_interval, a, b), 1), R, 0.95)


def test_welch_covers_unequal_sizes_and_spreads():
    rng = np.random.default_rng(3)
    a, b = rng.normal(1, 3, size=(R, 5)), rng.normal(0, 1, size=(R, 12))
    low, high = stats.binom.ppf([5e-5], R, 0.94)[0], stats.binom.ppf([1 - 5e-5], R, 0.96)[0]
    assert low <= hits(map(welch_interval, a, b), 1) <= high  # Satterthwaite is close, not exact


def test_the_paired_interaction_covers(is_rate):
    cells = np.random.default_rng(4).normal(size=(4, R, 5)) + np.random.default_rng(5).normal(size=(R, 5))
    assert is_rate(hits(map(interaction_interval, *cells)), R, 0.95)


def test_the_ratio_covers_on_lognormal_rates(is_rate):
    rng = np.random.default_rng(6)
    a, b = np.exp(rng.normal(0.5, 0.3, size=(R, 8))), np.exp(rng.normal(0, 0.3, size=(R, 8)))
    assert is_rate(hits(map(ratio_interval, a, b), np.exp(0.5)), R, 0.95)


@pytest.mark.parametrize(("n", "level"), [(6, 0.96875), (10, 0.97851562)])
def test_the_median_covers_as_often_as_its_ranks_say(n, level, is_rate):
    x = np.random.default_rng([7, n]).exponential(size=(R, n))
    assert is_rate(hits(map(median_interval, x), np.log(2)), R, level)


def test_subset_means_cover_under_nested_noise(is_rate):
    rng = np.random.default_rng(8)
    scores = rng.normal(0, 3, size=(R, 4, 1)) + rng.normal(size=(R, 4, 3))
    groups = np.repeat(range(4), 3)
    assert is_rate(hits(mean_interval(row.ravel(), groups=groups) for row in scores), R, 0.95)


def test_equivalence_is_claimed_at_the_margin_in_at_most_alpha(is_rate):
    d = np.random.default_rng(9).normal(1, 0.4, size=(R, 6))
    wrong = sum(tost(row, margin=1.0).equivalent for row in d)
    assert wrong <= stats.binom.ppf(1 - 5e-5, R, 0.05)
    assert wrong > 0.8 * 0.05 * R  # and not because it is never claimed


def test_holm_keeps_the_family_wise_error():
    d = np.random.default_rng(10).normal(size=(R, 5, 8))
    p = stats.ttest_1samp(d, 0, axis=-1).pvalue
    wrong = sum(holm(row).reject.any() for row in p)
    assert wrong <= stats.binom.ppf(1 - 5e-5, R, 0.05)
    assert wrong > 0.8 * 0.05 * R


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_sign_flips_reject_a_true_null_in_at_most_alpha(alpha):
    d = np.random.default_rng(11).laplace(size=(R, 8))
    wrong = sum(sign_flip_p(row).p <= alpha for row in d)
    assert wrong <= stats.binom.ppf(1 - 5e-5, R, alpha)
    assert wrong > 0.8 * alpha * R


def test_intervals_narrow_with_n():
    rng = np.random.default_rng(12)
    widths = [
        np.mean([i.high - i.low for i in map(mean_interval, rng.normal(size=(300, n)))])
        for n in (4, 8, 16, 32)
    ]
    assert all(a > b for a, b in pairwise(widths))


def test_the_check_catches_a_z_interval_at_five_seeds(is_rate):
    x = np.random.default_rng(13).normal(size=(R, 5))
    half = 1.959964 * x.std(axis=1, ddof=1) / np.sqrt(5)
    covered = int((np.abs(x.mean(axis=1)) <= half).sum())
    assert covered / R == pytest.approx(0.88, abs=0.02)
    assert not is_rate(covered, R, 0.95)


def test_the_check_catches_runs_read_as_subsets(is_rate):
    rng = np.random.default_rng(14)
    scores = rng.normal(0, 3, size=(R, 4, 1)) + rng.normal(size=(R, 4, 3))
    covered = hits(mean_interval(row.ravel()) for row in scores)
    assert covered / R == pytest.approx(0.70, abs=0.03)
    assert not is_rate(covered, R, 0.95)


def test_the_check_catches_one_checkpoint_read_as_ten_seeds(is_rate):
    rng = np.random.default_rng(15)
    a, b = (rng.normal(size=(R, 1)) + rng.normal(size=(R, 10)) for _ in range(2))
    wrong = R - hits(map(welch_interval, a, b))
    assert wrong / R == pytest.approx(0.53, abs=0.03)
    assert not is_rate(wrong, R, 0.05)


def test_the_check_catches_a_test_after_every_seed(is_rate):
    x = np.random.default_rng(16).normal(size=(R, 20))
    n = np.arange(1, 21)
    mean = x.cumsum(axis=1) / n
    with np.errstate(invalid="ignore", divide="ignore"):
        sd = np.sqrt(np.maximum((x**2).cumsum(axis=1) - n * mean**2, 0) / (n - 1))
    t = np.abs(mean[:, 2:] * np.sqrt(n[2:]) / sd[:, 2:])
    wrong = int((t > stats.t.isf(0.025, n[2:] - 1)).any(axis=1).sum())
    assert wrong / R == pytest.approx(0.23, abs=0.02)
    assert not is_rate(wrong, R, 0.05)
