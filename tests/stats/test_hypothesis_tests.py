"""Sign flips against plain enumeration, two one-sided tests, Holm."""

import math
from collections import Counter
from itertools import product

import numpy as np
import pytest

from fairtrial.stats import holm, paired_interval, sign_flip_p, tost

WORKED = [0.004, 0.03, 0.011, 0.25, 0.049]


def flips_by_hand(d):
    observed = abs(sum(d))
    means = [
        abs(sum(s * x for s, x in zip(signs, d, strict=True))) for signs in product((-1, 1), repeat=len(d))
    ]
    return np.mean([m >= observed - 1e-9 for m in means])


@pytest.mark.parametrize("seed", range(30))
def test_sign_flips_are_those_of_all_sign_vectors(seed):
    rng = np.random.default_rng(seed)
    d = np.round(rng.normal(0.5, 1, size=rng.integers(1, 9)), 1)  # rounded, so that ties and zeros occur
    assert sign_flip_p(d).p == pytest.approx(flips_by_hand(d))


@pytest.mark.parametrize(
    ("n", "p"),
    [(3, 0.25), (4, 0.125), (5, 0.0625), (6, 0.03125), (7, 0.015625), (8, 0.0078125), (10, 0.001953)],
)
def test_the_smallest_paired_p_of_section_6(n, p):
    got = sign_flip_p(np.arange(1, n + 1))
    assert (got.p, got.smallest_p) == pytest.approx((p, p), abs=5e-7)
    assert bool(got.warnings) == (n <= 5)


def test_five_pairs_cannot_reject_and_are_warned_about():
    assert sign_flip_p([1, 2, 3, 4, 5]).warnings == (
        "cannot reject at n = 5: the smallest p is 0.0625, above 0.05",
    )


def test_zeros_stay_in_n():
    got = sign_flip_p([0, 0, 1, 2, 3])
    assert (got.n, got.p) == (5, pytest.approx(0.25))


def exact_flip_p(d):
    """The sign-flip p of whole numbers by counting sums, any n."""
    ways = Counter({0: 1})
    for x in d:
        ways = Counter({s: ways[s - x] + ways[s + x] for s in {s + y for s in ways for y in (-x, x)}})
    return sum(count for s, count in ways.items() if abs(s) >= abs(sum(d))) / 2 ** len(d)


def test_many_pairs_are_drawn_at_random_and_need_a_generator():
    d = np.random.default_rng(0).integers(-8, 12, size=25).tolist()
    with pytest.raises(ValueError, match=r"more than 20 values.*pass rng"):
        sign_flip_p(d)
    got, want = sign_flip_p(d, rng=1), exact_flip_p(d)
    assert (got.exact, got.resamples, got.smallest_p) == (False, 99_999, 1e-5)
    assert 0.001 < want < 0.9
    assert got.p == pytest.approx(want, abs=4 * math.sqrt(want * (1 - want) / 1e5))
    assert got.p == sign_flip_p(d[::-1], rng=1).p
    assert got.p != sign_flip_p(d, rng=2).p


def test_the_signs_of_whole_groups_are_flipped():
    d = {0: 3.0, 1: 1.0, 2: -1.0, 3: 3.0, 4: 2.0, 5: 4.0}
    got = sign_flip_p(d, groups={seed: seed // 2 for seed in d})
    assert (got.n, got.smallest_p) == (3, 0.25)
    assert got.p == flips_by_hand([2.0, 1.0, 3.0]) == 0.25


def test_ties_that_only_rounding_breaks_still_count():
    assert sign_flip_p([0.1, 0.2, -0.3]).p == 1  # 0.1 + 0.2 - 0.3 is 5.6e-17, the smallest of all sums
    assert sign_flip_p([0.1 + 0.2, 0.3]).p == 0.5


@pytest.mark.parametrize("d", [[0.0] * 6, [1.0]])
def test_nothing_to_see_gives_p_one(d):
    got = sign_flip_p(d)
    assert (got.p, got.low, got.high) == (1, -math.inf, math.inf)


def test_the_worked_equivalence(worked):
    got = tost(*worked, margin=1.0)
    assert (got.t_lower, got.t_upper) == pytest.approx((10.008567, -1.0323232), abs=5e-5)
    assert (got.p_lower, got.p_upper) == pytest.approx((1.776411e-06, 0.16443137), rel=1e-6)
    assert got.p == got.p_upper
    assert (got.low, got.high, got.level) == pytest.approx((0.48094109, 1.1450589, 0.9), abs=5e-5)
    assert not got.equivalent


def test_differences_alone_are_enough(worked):
    a, b = worked
    d = {seed: a[seed] - b[seed] for seed in a}
    one, other = tost(d, margin=1.5), tost(a, b, margin=1.5)
    assert (one.p, one.equivalent) == (pytest.approx(other.p), True)


def test_the_interval_is_the_paired_one_at_one_minus_twice_alpha(worked):
    got, want = tost(*worked, margin=1.0, alpha=0.05 / 3), paired_interval(*worked, level=1 - 0.1 / 3)
    assert (got.low, got.high) == pytest.approx((want.low, want.high))


def test_a_limit_on_the_margin_does_not_count():
    d = [-1.0, 0.0, 1.0, 0.5]
    edge = tost(d, margin=1.0)
    at_the_edge = tost(d, margin=(-5.0, edge.high))
    assert not at_the_edge.equivalent
    assert tost(d, margin=(-5.0, edge.high + 1e-9)).equivalent


@pytest.mark.parametrize("d", [[0.1], [0.1, 0.2], [0.0, 0.0, 0.0], [0.3, 0.3, 0.3]])
def test_without_an_interval_nothing_is_equivalent(d):
    got = tost(d, margin=100)
    assert (got.equivalent, got.p, got.low) == (False, 1, -math.inf)
    assert got.warnings[0].startswith("no interval")


@pytest.mark.parametrize("margin", [0, -1, (1, 2), (-2, -1), (0.97, 1.03), math.inf, math.nan])
def test_a_margin_that_does_not_surround_0_is_refused(margin):
    with pytest.raises(ValueError, match="margin"):
        tost([1, 2, 3], margin=margin)


def test_alpha_of_a_half_or_more_is_refused():
    with pytest.raises(ValueError, match=r"alpha lies strictly between 0 and 0\.5"):
        tost([1, 2, 3], margin=1, alpha=0.5)


def test_swapping_the_arms_mirrors_the_tests(worked):
    a, b = worked
    one, other = tost(a, b, margin=(-0.5, 2)), tost(b, a, margin=(-2, 0.5))
    assert (one.t_lower, one.t_upper) == pytest.approx((-other.t_upper, -other.t_lower))
    assert one.p == pytest.approx(other.p)


def test_the_worked_family():
    got = holm(WORKED)
    assert got.adjusted_p == pytest.approx([0.02, 0.09, 0.044, 0.25, 0.098], abs=5e-5)
    assert got.reject.tolist() == [True, False, True, False, False]


def test_each_contrast_has_the_level_of_its_step_and_the_rest_that_of_the_stop():
    got = holm(WORKED)
    assert got.step.tolist() == [1, 3, 2, 3, 3]
    assert got.step_level == pytest.approx(1 - 0.05 / np.array([5, 3, 4, 3, 3]))
    assert holm([0.2]).step_level.tolist() == [0.95]
    assert holm([0.2, 0.1], alpha=0.05 / 3).step_level == pytest.approx([1 - 0.05 / 6] * 2)


def test_all_rejected_reach_the_last_step():
    assert holm([0.001, 0.002, 0.003]).step.tolist() == [1, 2, 3]


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


def test_an_empty_family_is_an_empty_record():
    got = holm([])
    assert got.n == 0
    assert got.adjusted_p.size == got.reject.size == 0


@pytest.mark.parametrize("p", [[0.1, 1.1], [-0.1], [float("nan")], [[0.1]]])
def test_what_is_no_p_value_is_refused(p):
    with pytest.raises(ValueError, match="p "):
        holm(p)


def test_a_mapping_keeps_its_order():
    assert holm({"gn": 0.2, "ln": 0.001}).reject.tolist() == [False, True]
