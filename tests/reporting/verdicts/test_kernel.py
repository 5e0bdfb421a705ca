"""The share of a step: by hand from two recorded times, and what cannot be known."""

from __future__ import annotations

import math

import pytest
from scipy import stats as scipy_stats

from fairtrial.reporting.results import load
from fairtrial.reporting.verdicts import kernel
from fairtrial.reporting.verdicts.kernel import Share
from fairtrial.study.study import Contrast
from tests.reporting.whatif_truth import BN, GN_WS, factors, in_seconds

ARM = {**GN_WS, "batch_size": 4}


@pytest.fixture
def measured(make_study, publish):
    """The share of gn+ws when (seed, ws) -> seconds of 10 updates."""

    def made(seconds, seeds=range(4), **changed):
        def outcome(cell):
            ws = cell.levels["weight_std"]
            return (
                {"spent": {"steps": 10, "train_s": seconds(cell.seed, ws)}}
                if seconds(cell.seed, ws)
                else None
            )

        store = publish(in_seconds(make_study, seeds=seeds, **changed), outcome)
        return kernel.measured(load.load(store), ARM)

    return made


def test_the_share_is_what_the_step_lacks_without_the_kernel(measured):
    slow, fast = [1.0, 1.1, 1.2, 1.3], [0.8, 0.85, 0.9, 1.1]
    found = measured(lambda seed, ws: (slow if ws else fast)[seed])
    logs = [math.log(f / s) for f, s in zip(fast, slow, strict=True)]
    test = scipy_stats.ttest_1samp(logs, 0.0).confidence_interval(0.95)
    assert found.estimate == pytest.approx(1 - math.exp(sum(logs) / 4))
    assert (found.low, found.high) == pytest.approx((1 - math.exp(test.high), 1 - math.exp(test.low)))
    assert (found.arm, found.twin, found.n) == ("gn+ws, batch 4", "gn, batch 4", 4)


def test_a_kernel_that_costs_nothing_has_no_share(measured):
    found = measured(lambda seed, ws: (0.9 if ws else 1.0) + seed / 100)
    assert (found.estimate, found.low, found.high) == (0, 0, 0)


def test_two_seeds_leave_the_share_open(measured):
    found = measured(lambda seed, ws: (1.0 if ws else 0.8) + seed / 100, seeds=(1, 2))
    assert (found.low, found.high, found.n) == (0, 1, 2)


def test_without_a_twin_there_is_no_share(measured):
    only = [{"norm": "gn", "weight_std": True}, {"norm": "bn"}]
    assert measured(lambda seed, ws: 1.0, only=only) is None
    assert measured(lambda seed, ws: 1.0 if ws else None, seeds=range(3)) is None


@pytest.mark.parametrize(
    "faster, limit, step", [(1, "high", 1), (2, "estimate", 0.9), (math.inf, "low", 0.9), (4, "high", 0.775)]
)
def test_a_faster_kernel_shortens_the_step_by_its_own_part(faster, limit, step):
    share = Share("gn+ws", "gn", 0.2, 0.1, 0.3, 5)
    assert share.step(faster, limit) == pytest.approx(step)


def test_a_given_kernel_belongs_to_the_treatment_and_ours_to_whoever_has_it(make_study, publish):
    both = Contrast("both", GN_WS, {"norm": "bn", "weight_std": True})
    store = publish(in_seconds(make_study, primary=both, factors=factors(4, 64)), lambda cell: 0.9)
    results = load.load(store)
    mine = [{**GN_WS, "batch_size": batch} for batch in (4, 64)]
    theirs = [{**BN, "weight_std": True, "batch_size": batch} for batch in (4, 64)]
    assert kernel.spared(results, both, 0.2) == mine
    assert kernel.spared(results, both, None) == [*mine, *theirs]
