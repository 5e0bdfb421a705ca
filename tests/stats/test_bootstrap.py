"""Bootstrap intervals: exact enumeration, scipy, refusals, and the coverage that section 4 warns about."""

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from fairtrial.stats import bootstrap_interval, mean_interval

FIVE = [52.5, 55.8, 60.2, 54.1, 57.3]
TWELVE = np.random.default_rng(12).exponential(size=12)


def test_the_exact_percentile_and_basic_limits_by_enumeration():
    means = [np.mean(rows) for rows in product(FIVE, repeat=5)]
    low, high = np.quantile(means, [0.025, 0.975])
    percentile = bootstrap_interval(FIVE, method="percentile", resamples="exact")
    basic = bootstrap_interval(FIVE, method="basic", resamples="exact")
    assert (percentile.low, percentile.high, percentile.resamples) == pytest.approx((low, high, 3125))
    assert (basic.low, basic.high) == pytest.approx((2 * 55.98 - high, 2 * 55.98 - low))


def test_the_exact_bca_limits_by_the_formula_of_section_13():
    means = np.array([np.mean(rows) for rows in product(FIVE, repeat=5)])
    theta, x = np.mean(FIVE), np.array(FIVE)
    z0 = stats.norm.ppf(((means < theta - 1e-9).sum() + (means <= theta + 1e-9).sum()) / (2 * 3125))
    u = x - theta  # the influence of a value on a mean, up to a factor
    a = (u**3).sum() / (6 * (u**2).sum() ** 1.5)
    z = z0 + stats.norm.ppf([0.025, 0.975])
    got = bootstrap_interval(FIVE, resamples="exact")
    assert (got.z0, got.acceleration) == pytest.approx((z0, a))
    assert (got.low, got.high) == pytest.approx(np.quantile(means, stats.norm.cdf(z0 + z / (1 - a * z))))


@pytest.mark.parametrize("method", ["percentile", "basic", "bca"])
@pytest.mark.parametrize("statistic", [np.mean, np.std])
def test_random_resamples_agree_with_scipy(method, statistic):
    want = stats.bootstrap((TWELVE,), statistic, method=method, n_resamples=20_000, rng=1).confidence_interval
    got = bootstrap_interval(TWELVE, statistic, method=method, resamples=20_000, rng=2)
    assert (got.low, got.high) == pytest.approx(tuple(want), abs=0.05 * (want.high - want.low))


def test_the_studentized_limits_by_enumeration():
    x = np.array(FIVE)
    rows = np.array(list(product(FIVE, repeat=5)))
    sd = rows.std(axis=1, ddof=1)
    with np.errstate(divide="ignore"):
        t = (rows.mean(axis=1) - x.mean()) * math.sqrt(5) / np.where(sd > 1e-9, sd, 0)
    q = np.quantile(t, [0.975, 0.025])
    got = bootstrap_interval(FIVE, method="studentized", resamples="exact")
    assert (got.low, got.high) == pytest.approx(x.mean() - q * x.std(ddof=1) / math.sqrt(5))


def test_a_generator_is_required_and_decides():
    with pytest.raises(ValueError, match="resamples are drawn at random: pass rng"):
        bootstrap_interval(TWELVE)
    one = bootstrap_interval(TWELVE, rng=1)
    assert one == bootstrap_interval(TWELVE, rng=np.random.default_rng(1))
    assert one.low != bootstrap_interval(TWELVE, rng=2).low
    assert one == bootstrap_interval(TWELVE[::-1], rng=1)


def test_shift_and_scale_carry_through():
    plain, moved = bootstrap_interval(TWELVE, rng=1), bootstrap_interval(1000 + 3 * TWELVE, rng=1)
    assert (moved.low, moved.high) == pytest.approx((1000 + 3 * plain.low, 1000 + 3 * plain.high))


def test_few_values_are_warned_about_and_fewer_refused():
    assert bootstrap_interval(FIVE, resamples="exact").warnings == ("under-covers at this n = 5",)
    assert bootstrap_interval(TWELVE, rng=0).warnings == ()
    with pytest.raises(ValueError, match="x has 4 values; a bootstrap needs at least 5"):
        bootstrap_interval(FIVE[:4], rng=0)


@pytest.mark.parametrize("method", ["percentile", "basic", "bca", "studentized"])
def test_equal_values_have_no_interval(method):
    got = bootstrap_interval([0.1] * 6, method=method, rng=0)
    assert (got.low, got.high) == (-math.inf, math.inf)
    assert got.warnings[-1] == "no interval: zero observed variance"


def test_limits_that_coincide_are_no_interval():
    got = bootstrap_interval([1, *[2] * 11], "median", method="percentile", rng=0)
    assert (got.estimate, got.low, got.high) == (2, -math.inf, math.inf)


def test_bca_that_is_not_defined_falls_back_to_t_and_says_so():
    def middle(x):  # every jackknife value of these data is 2, so that the acceleration is 0/0
        return float(np.median(x))

    got = bootstrap_interval([1, 2, 2, 2, 3], middle, resamples="exact")
    medians = [np.median(rows) for rows in product([1, 2, 2, 2, 3], repeat=5)]
    half = stats.t.ppf(0.975, 4) * np.std(medians)
    assert (got.estimate, got.low, got.high) == pytest.approx((2, 2 - half, 2 + half))
    assert got.method.startswith("standard-error bootstrap")
    assert "bca is not defined" in got.warnings[1]


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"statistic": "median"}, "bca has no jackknife for the median"),
        ({"statistic": np.max}, "bca has no jackknife for the max"),
        ({"statistic": "mode"}, "unknown statistic 'mode'; known: mean, median, min, max"),
        ({"method": "bc"}, "unknown method 'bc'"),
        ({"statistic": "median", "method": "studentized"}, "the mean only"),
        ({"resamples": "exact"}, "n = 12 has"),
        ({"resamples": 10}, "resamples is at least 99"),
    ],
)
def test_what_a_bootstrap_cannot_do_is_refused(keywords, said):
    with pytest.raises(ValueError, match=said):
        bootstrap_interval(TWELVE, **{"rng": 0, **keywords})


def test_the_percentile_interval_of_a_median_is_made_of_values():
    got = bootstrap_interval(range(11), "median", method="percentile", rng=0)
    assert (got.estimate, got.low, got.high) == (5, round(got.low), round(got.high))
    assert got.low < 5 < got.high


@pytest.mark.parametrize(("method", "covers"), [("percentile", 0.84), ("bca", 0.84), ("studentized", 0.95)])
def test_at_five_values_only_the_studentized_bootstrap_covers(method, covers, is_rate):
    x = np.random.default_rng(20).normal(size=(1000, 5))
    intervals = [bootstrap_interval(row, method=method, resamples="exact") for row in x]
    hits = sum(i.low <= 0 <= i.high for i in intervals)
    assert hits / 1000 == pytest.approx(covers, abs=0.04)
    assert is_rate(hits, 1000, 0.95) == (method == "studentized")


@pytest.mark.parametrize(("n", "share"), [(5, 0.64), (8, 0.78), (10, 0.83)])
def test_bca_is_a_narrow_t_interval_at_small_n(n, share):
    x = np.random.default_rng(n).normal(size=(60, n))
    bca = [bootstrap_interval(row, resamples=1999, rng=0) for row in x]
    t = [mean_interval(row) for row in x]
    ratios = [(b.high - b.low) / (w.high - w.low) for b, w in zip(bca, t, strict=True)]
    assert np.mean(ratios) == pytest.approx(share, abs=0.02)
