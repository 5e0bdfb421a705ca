"""Synthetic studies with a known truth get the right verdict, at the rate that the truth allows."""

import numpy as np
import pytest
from scipy import stats

from fairtrial.reporting.results import load
from fairtrial.reporting.verdicts import findings
from fairtrial.study.study import Contrast

N, SD = 8, 0.01
AT_4, AT_64 = (Contrast(f"at {b}", {"norm": "gn"}, {"norm": "bn"}, {"batch_size": b}) for b in (4, 64))
DIFFERS = Contrast("depends", {"norm": "gn"}, {"norm": "bn"}, by={"batch_size": (4, 64)})
pytestmark = pytest.mark.slow


@pytest.fixture(params=[10, pytest.param(20, marks=pytest.mark.soak)])
def studies(request):
    """How many are drawn of each truth."""
    return request.param


def chance(*words):
    return np.random.default_rng([20260101, *words]).normal()


def judged(
    studies, make_study, publish, gain, *contrasts, collapses=lambda study, seed: False, name="planted"
):
    """Study by study, its findings; gain(levels) is added to every gn run, seeds share a level."""
    for study in range(studies):

        def outcome(cell, study=study):
            gn, batch = cell.levels["norm"] == "gn", cell.levels["batch_size"]
            if gn and collapses(study, cell.seed):
                return "diverged"
            own = SD / np.sqrt(2) * chance(study, cell.seed, batch, gn)
            return 0.6 + (gain(batch) if gn else 0) + 0.02 * chance(study, cell.seed) + own

        factors = {"norm": ("bn", "gn"), "batch_size": (4, 64)}
        made = make_study(name=f"{name}-{study}", factors=factors, seeds=range(N), primary=contrasts, aa=None)
        yield findings.judge(load.load(publish(made, outcome)))


def promised(effect, word, margin=0.01, sd=SD):
    """How often such differences deserve the word, by scipy's quantiles on 20 000 drawn studies."""
    d = np.random.default_rng(1).normal(effect, sd, size=(20_000, N))
    mean, se = d.mean(axis=1), d.std(axis=1, ddof=1) / np.sqrt(N)
    outer, inner = stats.t.ppf(0.975, N - 1) * se, stats.t.ppf(0.95, N - 1) * se
    apart, inside = np.abs(mean) > outer, np.abs(mean) + inner < margin
    right = {"better": (mean > outer) & ~inside, "equivalent": ~apart & inside}
    return right[word].mean()


def agrees(hits, rate, studies):
    low, high = stats.binom.ppf([5e-4, 1 - 5e-4], studies, rate)
    return low <= hits <= high


@pytest.mark.parametrize(("effect", "word"), [(0.015, "better"), (0.0, "equivalent")])
def test_an_arm_that_is_better_or_equivalent_is_called_so(studies, make_study, publish, effect, word):
    found = [f.verdict for (f,) in judged(studies, make_study, publish, lambda batch: effect, AT_4)]
    rate = promised(effect, word)
    assert 0.2 < rate < 0.999
    assert agrees(found.count(word), rate, studies), (found, rate)


def test_an_interaction_is_found_and_no_other_is(studies, make_study, publish):
    found = [
        f.verdict
        for (f,) in judged(studies, make_study, publish, lambda b: 0.03 if b == 4 else 0.01, DIFFERS)
    ]
    assert agrees(found.count("better"), promised(0.02, "better", sd=SD * np.sqrt(2)), studies)
    found = [f.verdict for (f,) in judged(studies, make_study, publish, lambda b: 0.03, DIFFERS, name="none")]
    assert agrees(
        sum(word in ("better", "worse", "different_but_negligible") for word in found), 0.05, studies
    )


def test_a_crossing_is_better_here_and_worse_there(studies, make_study, publish):
    gains = {4: 0.03, 64: -0.03}
    found = [
        tuple(each.verdict for each in family)
        for family in judged(studies, make_study, publish, gains.get, AT_4, AT_64)
    ]
    one = promised(0.03, "better")
    assert agrees(found.count(("better", "worse")), one**2, studies), found


def test_a_collapse_rate_is_counted_and_no_seed_is_lost(studies, make_study, publish):
    def collapses(study, seed):
        return chance(study, seed, 99) > stats.norm.isf(0.2)

    found = [f for (f,) in judged(studies, make_study, publish, lambda b: 0.02, AT_4, collapses=collapses)]
    counted = [len(f.sides[0].failed_seeds) for f in found]
    assert counted == [sum(collapses(study, seed) for seed in range(N)) for study in range(studies)]
    low, high = stats.binom.ppf([5e-4, 1 - 5e-4], studies * N, 0.2)
    assert low <= sum(counted) <= high
    assert all(f.n == N for f in found)
    assert not any(f.verdict == "better" for f in found if f.failed)  # at chance, half a point below


def test_one_odd_checkpoint_does_not_make_a_method(studies, make_transfer, publish):
    """Of three checkpoints one is 10 points up: fifteen runs would call it better, three units do not."""
    words, naive = [], []
    for study in range(studies):

        def outcome(cell, study=study):
            full = cell.levels["finetune"] == "full"
            odd = 0.1 if full and cell.upstream_seed == 0 else 0.0
            return 0.5 + odd + SD * chance(study, cell.seed, cell.levels["shots"], full)

        (found,) = findings.judge(load.load(publish(make_transfer(name=f"odd-{study}"), outcome)))
        words.append((found.verdict, found.n))
        naive.append(stats.ttest_1samp(list(found.differences.values()), 0).pvalue < 0.05)
    assert words == [("inconclusive", 3)] * studies
    assert sum(naive) >= studies - 1
