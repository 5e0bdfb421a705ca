"""Sign flips and permutations against plain enumeration."""

import math
from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from fairtrial.stats import permutation_p, sign_flip_p


def flips_by_hand(d):
    observed = abs(sum(d))
    means = [
        abs(sum(s * x for s, x in zip(signs, d, strict=True))) for signs in product((-1, 1), repeat=len(d))
    ]
    return np.mean([m >= observed - 1e-9 for m in means])


def splits_by_hand(a, b):
    pool, hits, splits = [*a, *b], 0, list(combinations(range(len(a) + len(b)), len(a)))
    observed = abs(np.mean(a) - np.mean(b))
    for chosen in splits:
        first = [pool[i] for i in chosen]
        second = [pool[i] for i in range(len(pool)) if i not in chosen]
        hits += abs(np.mean(first) - np.mean(second)) >= observed - 1e-9
    return hits / len(splits)


@pytest.mark.parametrize("seed", range(30))
def test_sign_flips_are_those_of_all_sign_vectors(seed):
    rng = np.random.default_rng(seed)
    d = np.round(rng.normal(0.5, 1, size=rng.integers(1, 9)), 1)  # rounded, so that ties and zeros occur
    assert sign_flip_p(d).p == pytest.approx(flips_by_hand(d))


@pytest.mark.parametrize("seed", range(20))
def test_permutations_are_those_of_all_splits(seed):
    rng = np.random.default_rng(seed)
    a, b = (
        np.round(rng.normal(1, 1, size=rng.integers(1, 6)), 1),
        np.round(rng.normal(size=rng.integers(1, 5)), 1),
    )
    assert permutation_p(a, b).p == pytest.approx(splits_by_hand(a, b))


def test_both_agree_with_scipys_permutation_test():
    rng = np.random.default_rng(8)

    def gap(x, y, axis):
        return np.mean(x, axis=axis) - np.mean(y, axis=axis)

    for _ in range(20):
        a, b = rng.normal(0.8, 1, size=7), rng.normal(size=7)
        for function, kind, arguments in (
            (sign_flip_p, "samples", (a - b,)),
            (permutation_p, "independent", (a, b)),
        ):
            data = (a, b) if kind == "independent" else (a - b,)
            statistic = gap if kind == "independent" else np.mean
            want = stats.permutation_test(data, statistic, permutation_type=kind, n_resamples=math.inf)
            assert function(*arguments).p == pytest.approx(want.pvalue)


@pytest.mark.parametrize(
    ("n", "p"),
    [(3, 0.25), (4, 0.125), (5, 0.0625), (6, 0.03125), (7, 0.015625), (8, 0.0078125), (10, 0.001953)],
)
def test_the_smallest_paired_p_of_section_6(n, p):
    got = sign_flip_p(np.arange(1, n + 1))
    assert (got.p, got.smallest_p) == pytest.approx((p, p), abs=5e-7)
    assert bool(got.warnings) == (n <= 5)


@pytest.mark.parametrize(
    ("n", "p"), [(3, 0.1), (4, 0.02857), (5, 0.007937), (6, 0.002165), (7, 0.0005828), (8, 0.0001554)]
)
def test_the_smallest_unpaired_p_of_section_6(n, p):
    got = permutation_p(np.arange(n), 100 + np.arange(n))
    assert (got.p, got.smallest_p) == pytest.approx((p, p), rel=5e-4)


def test_unequal_arms_have_no_mirror_image():
    got = permutation_p([10, 11, 12], [1, 2, 3, 4, 5])
    assert (got.p, got.smallest_p) == pytest.approx((1 / 56, 1 / 56))


def test_five_pairs_cannot_reject_and_are_told_so():
    assert sign_flip_p([1, 2, 3, 4, 5]).warnings == (
        "cannot reject at n = 5: the smallest p is 0.0625, above 0.05",
    )


def test_ties_that_only_rounding_breaks_still_count():
    assert sign_flip_p([0.1, 0.2, -0.3]).p == 1  # 0.1 + 0.2 - 0.3 is 5.6e-17, the smallest of all sums
    assert sign_flip_p([0.1 + 0.2, 0.3]).p == 0.5
    assert permutation_p([0.1, 0.2], [0.3, 0.0]).p == 1


def test_zeros_stay_in_n():
    got = sign_flip_p([0, 0, 1, 2, 3])
    assert (got.n, got.p) == (5, pytest.approx(0.25))


@pytest.mark.parametrize(
    "got", [sign_flip_p([0.0] * 6), permutation_p([2.0] * 3, [2.0] * 4), sign_flip_p([1.0])]
)
def test_nothing_to_see_gives_p_one(got):
    assert got.p == 1


def test_a_test_has_an_estimate_and_no_interval():
    got = permutation_p([1, 2, 3], [0, 0, 3])
    assert (got.estimate, got.low, got.high) == (1, -math.inf, math.inf)


def exact_flip_p(d):
    """The sign-flip p of whole numbers by counting sums, any n."""
    ways = Counter({0: 1})
    for x in d:
        ways = Counter({s: ways[s - x] + ways[s + x] for s in {s + y for s in ways for y in (-x, x)}})
    return sum(count for s, count in ways.items() if abs(s) >= abs(sum(d))) / 2 ** len(d)


def exact_split_p(a, b):
    """The permutation p of whole numbers by counting sums of n_a of them, any n."""
    pool, n_a = [*a, *b], len(a)
    ways = Counter({(0, 0): 1})
    for x in pool:
        for (size, total), count in list(ways.items()):
            ways[size + 1, total + x] += count
    gap = abs(sum(a) * len(pool) - n_a * sum(pool))
    hits = sum(
        c for (size, s), c in ways.items() if size == n_a and abs(s * len(pool) - n_a * sum(pool)) >= gap
    )
    return hits / math.comb(len(pool), n_a)


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


def test_many_splits_are_drawn_at_random_and_need_a_generator():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 20, size=12).tolist(), rng.integers(-3, 17, size=11).tolist()
    with pytest.raises(ValueError, match=r"splits.*pass rng"):
        permutation_p(a, b)
    got, want = permutation_p(a, b, rng=1), exact_split_p(a, b)
    assert not got.exact
    assert 0.001 < want < 0.9
    assert got.p == pytest.approx(want, abs=4 * math.sqrt(want * (1 - want) / 1e5))
    assert got.p == permutation_p(a[::-1], b, rng=1).p
    assert got.p != permutation_p(a, b, rng=2).p


def test_shift_and_swap_leave_a_permutation_p_alone():
    a, b = [1.1, 2.3, 0.4, 2.2], [0.2, 1.0, 0.9]
    p = permutation_p(a, b).p
    assert permutation_p(b, a).p == p
    assert permutation_p(np.add(a, 1e6), np.add(b, 1e6)).p == p


def test_the_signs_of_whole_groups_are_flipped():
    d = {0: 3.0, 1: 1.0, 2: -1.0, 3: 3.0, 4: 2.0, 5: 4.0}
    got = sign_flip_p(d, groups={seed: seed // 2 for seed in d})
    assert (got.n, got.smallest_p) == (3, 0.25)
    assert got.p == flips_by_hand([2.0, 1.0, 3.0]) == 0.25
