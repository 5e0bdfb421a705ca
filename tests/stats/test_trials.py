"""The expected best of k, of one tuning study and of several."""

from itertools import combinations

import numpy as np
import pytest

from fairtrial.stats import expected_best, expected_choice

X = [0.61, 0.70, 0.55, 0.74, 0.70, 0.68]


def test_it_is_the_mean_best_of_all_subsets():
    want = [np.mean([max(s) for s in combinations(X, k)]) for k in range(1, 7)]
    assert expected_best([X]).estimate == pytest.approx(want)


@pytest.mark.parametrize(("k", "inflation"), [(5, 1.16), (10, 1.54), (20, 1.87), (50, 2.25)])
def test_the_best_of_k_normal_trials_inflates_as_section_10_says(k, inflation):
    x = np.random.default_rng(1).normal(size=2000)
    assert expected_best([x]).estimate[k - 1] == pytest.approx(inflation, abs=0.06)


def test_the_band_resamples_the_trials_up_to_half_of_them():
    x = np.random.default_rng(2).normal(size=20)
    got = expected_best([x], rng=1)
    means = np.random.default_rng(5).choice(x, size=(20_000, 20)).mean(axis=1)
    assert (got.low[0], got.high[0]) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.03)
    assert np.isfinite(got.low[:10]).all()
    assert np.isinf(got.low[10:]).all()
    assert got.warnings == ("no interval above k = 10, half the trials of a study",)
    assert got.low[0] != expected_best([x], rng=2).low[0]
    assert expected_best([x[::-1]], rng=1).low[:10].tolist() == got.low[:10].tolist()


def test_the_best_is_taken_within_each_tuning_study_and_then_averaged():
    easy, hard = [0.9, 0.8, 0.85], [0.3, 0.5, 0.4]
    got = expected_best([easy, hard])
    assert got.estimate == pytest.approx([(0.85 + 0.4) / 2, (2.65 / 3 + 1.4 / 3) / 2, 0.7])
    assert (got.n, got.unit) == (2, "tuning study")
    assert not np.isfinite(got.low).any() and got.warnings == ("no interval: no rng was passed",)


def test_tuning_studies_of_unequal_length_and_lost_trials_are_refused():
    with pytest.raises(ValueError, match=r"got \[2, 3\]"):
        expected_best([[0.1, 0.2], [0.1, 0.2, 0.3]])
    with pytest.raises(ValueError, match="not finite"):
        expected_best([[0.1, np.nan], [0.1, 0.2]])


def test_the_band_over_tuning_studies_covers_what_other_trials_would_give():
    rng, inside = np.random.default_rng(5), 0
    for _ in range(40):
        scores = rng.uniform(size=(3, 20))
        got = expected_best(scores, rng=rng)
        inside += got.low[1] <= 2 / 3 <= got.high[1]  # the best of 2 uniform draws is 2/3 on average
    assert inside >= 32  # 38 expected; 95 % nominal, percentile bands are a little narrow


def test_what_another_criterion_chooses_is_the_mean_over_all_subsets():
    criterion = [0.4, 0.2, 0.9, 0.2, np.inf, 0.7]  # of the two at 0.2 the earlier one
    want = []
    for k in range(1, 7):
        subsets = combinations(range(6), k)
        want.append(np.mean([X[min(s, key=lambda i: (criterion[i], i))] for s in subsets]))
    assert expected_choice(criterion, X) == pytest.approx(want)
    with pytest.raises(ValueError, match="got 2 and 6"):
        expected_choice([0.1, 0.2], X)
