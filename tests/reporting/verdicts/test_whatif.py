"""A faster kernel in a world whose truth is known: each difference and each verdict by the closed form."""

from __future__ import annotations

import math
from statistics import fmean, stdev

import pytest
from scipy import stats as scipy_stats

from fairtrial.reporting.results import load
from fairtrial.reporting.verdicts import findings, whatif
from fairtrial.reporting.verdicts.kernel import Share
from fairtrial.reporting.verdicts.whatif import FREE
from fairtrial.reporting.verdicts.whatif_words import break_even, sentence, sentences
from fairtrial.study.study import Contrast
from tests.reporting.whatif_truth import (
    AT_4,
    BN,
    GN_WS,
    GROWTH,
    SHARE,
    SMALL,
    STEPS,
    factors,
    in_seconds,
    in_steps,
    luck,
    truth,
)  # fmt: skip


@pytest.fixture
def examine(make_study, publish):
    """The what-if of a planted truth; longer: budgets of finished runs beside it."""

    def made(gap, *, longer=(200,), outcome=None, study=None, **how):
        changed = study or {}
        told = outcome or truth(gap)
        for steps in longer:
            publish(in_steps(make_study, steps, **changed), told)
        store = publish(in_seconds(make_study, **changed), told)
        results = load.load(store)
        return results, whatif.examine(results, store, **how)

    return made


def pairs(results):
    """The planted differences without their gap."""
    cells = [cell for cell in results.study.cells() if cell.settings["batch_size"] == 4]
    chosen = [{c.seed: luck(c) for c in cells if c.levels == arm | AT_4} for arm in (GN_WS, BN)]
    return [chosen[0][seed] - chosen[1][seed] for seed in chosen[0]]


def share_of(what):
    (share,) = what.cases[0].shares
    return share.estimate


def test_the_difference_at_each_speed_up_is_that_of_the_closed_form(examine):
    results, what = examine(-0.02)
    (case,) = what.cases
    assert share_of(what) == pytest.approx(SHARE, abs=0.002)
    for row in case.rows:
        ratio = 1 - share_of(what) * (1 - 1 / row.faster)
        assert row.ratios == pytest.approx((ratio,))
        assert row.steps[0] == pytest.approx((STEPS, STEPS / ratio))
        expected = -0.02 + GROWTH * math.log(1 / ratio) + fmean(pairs(results))
        assert row.finding.interval.estimate == pytest.approx(expected, abs=1e-9)
        assert row.finding.interval.sd == pytest.approx(stdev(pairs(results)))


def test_once_the_speed_up_is_one_everything_is_as_recorded(examine):
    results, what = examine(-0.02)
    (recorded,), row = findings.judge(results), what.cases[0].rows[0]
    assert (row.faster, row.verdict, row.sure) == (1, recorded.verdict, True)
    assert row.finding.interval == recorded.interval
    assert row.finding.ruling == recorded.ruling


def test_a_verdict_that_flips_does_so_at_its_break_even(examine):
    results, what = examine(-0.02)
    (case,) = what.cases
    assert case.recorded.verdict == "worse"
    assert [row.verdict for row in case.rows][-1] == "better" and case.changed(case.rows[-1])
    half = scipy_stats.t.ppf(0.975, 9) * stdev(pairs(results)) / math.sqrt(10)
    gained = (0.02 - fmean(pairs(results)) - half) / GROWTH  # then the interval reaches 0
    saved = 1 - math.exp(-gained)
    times = {limit: 1 / (1 - saved / getattr(case.shares[0], limit)) for limit in ("low", "estimate", "high")}
    even = case.break_even
    assert (even.times, even.low, even.high) == pytest.approx(
        (times["estimate"], times["high"], times["low"]), rel=2e-3
    )
    assert even.to == "inconclusive"
    assert f"'inconclusive' with StdConv {times['estimate']:.3g} times faster [" in break_even(
        case, "StdConv"
    )


def test_a_verdict_that_does_not_flip_has_no_break_even(examine):
    _, what = examine(-0.2)
    (case,) = what.cases
    assert {row.verdict for row in case.rows} == {"worse"} and case.break_even.times == FREE
    assert not any(case.changed(row) for row in case.rows)
    assert "none; even with StdConv free the verdict stays 'worse'" in break_even(case, "StdConv")


def test_more_speed_never_means_less(examine):
    _, what = examine(0.0, times=[1 + tenth / 10 for tenth in range(40)] + [FREE])
    found = [row.finding.interval.estimate for row in what.cases[0].rows]
    assert found == sorted(found) and found[0] < found[-1]


def test_what_the_runs_below_and_above_both_say_is_sure(examine):
    _, what = examine(0.05, longer=(120, 200))
    assert all(row.sure for row in what.cases[0].rows)


def test_what_only_the_line_between_two_runs_says_is_told_with_a_doubt(examine):
    _, what = examine(-0.02)
    assert not what.cases[0].rows[-1].sure
    says = sentence(what.cases[0], what.cases[0].rows[-1], what)
    assert "the verdict 'worse' would become 'better', if accuracy grows evenly" in says
    assert "143 updates in place of 100" in says


def test_runs_that_end_too_early_say_nothing_of_a_faster_kernel(examine):
    _, what = examine(-0.02, longer=(110,))
    told = {row.faster: row.verdict for row in what.cases[0].rows}
    assert told == {1.0: "worse", 1.5: None, 2.0: None, 4.0: None, FREE: None}
    assert math.isnan(what.cases[0].break_even.times)
    assert "cannot be told: neither longer runs nor a curve" in sentences(what)[1]


@pytest.mark.parametrize(
    "gap, late, says, why",
    [
        (0.05, 1.0, "better", ""),
        (-0.4, 1.0, "worse", ""),
        (-0.02, 1.0, None, "at best it is better"),
        (0.0, 0.0, None, "what is inconclusive may get decided"),
    ],
)
def test_one_study_alone_can_only_say_that_a_verdict_stays(examine, gap, late, says, why):
    curve = [late * lack for lack in (0.6, 0.4, 0.15, 0.0)]
    results, what = examine(gap, longer=(), outcome=truth(gap, curve=curve))
    row = what.cases[0].rows[-1]
    assert (row.reading, row.verdict) == ("same", says) and why in row.reason
    lacks = late * (0.15 + 0.25 * (share_of(what) - 0.25) / 0.25)  # bn is read at 70 % of its updates
    expected = gap + fmean(pairs(results)) + lacks
    assert row.finding.interval.estimate == pytest.approx(expected, abs=1e-9)
    assert (what.cases[0].break_even.times == FREE) == (says is not None)


def test_a_share_with_a_wide_interval_leaves_the_verdict_open(examine):
    _, what = examine(-0.02, outcome=truth(-0.02, jitter=0.15), longer=(400,))
    share = what.cases[0].shares[0]
    assert share.high - share.low > 0.15
    row = next(row for row in what.cases[0].rows if row.verdict is None)
    assert "with the smallest share and" in row.reason and row.finding is not None


def test_a_kernel_that_both_arms_have_makes_both_faster(examine):
    both = Contrast("norm", {"norm": "gn"}, {"norm": "bn"}, {"weight_std": True, "batch_size": 4})
    _, what = examine(0.0, study={"primary": both})
    case = what.cases[0]
    assert [share.arm for share in case.shares] == ["gn+ws, batch 4", "bn+ws, batch 4"]
    gained = case.rows[-1].finding.interval.estimate - case.rows[0].finding.interval.estimate
    assert gained == pytest.approx(-GROWTH * math.log(1 - case.shares[0].estimate))  # bn+ws does not grow


def test_a_contrast_without_the_kernel_says_so(examine):
    plain = Contrast("norm", {"norm": "gn"}, {"norm": "bn"}, {"weight_std": False, "batch_size": 4})
    _, what = examine(0.0, study={"primary": (SMALL, plain)})
    assert what.cases[1].rows == ()
    assert "Gn against bn at batch 4: no arm of it has the kernel" in " ".join(sentences(what))


def test_an_arm_without_its_twin_has_no_share_and_no_rows(examine):
    twins = Contrast("gn", GN_WS, {"norm": "gn", "weight_std": False}, AT_4)
    both = Contrast("norm", {"norm": "gn"}, {"norm": "bn"}, {"weight_std": True, "batch_size": 4})
    only = ({"norm": "gn"}, {"norm": "bn", "weight_std": True})
    _, what = examine(0.0, study={"primary": (twins, both), "only": only})
    assert len(what.cases[0].rows) == 5 and what.cases[1].rows == ()
    assert "an arm of it was not recorded without the kernel" in " ".join(sentences(what))


def test_an_interaction_is_made_of_all_its_faster_arms(examine):
    by = Contrast("batch matters", GN_WS, BN, by={"batch_size": (4, 64)})
    _, what = examine(0.05, study={"primary": by, "factors": factors(4, 64)})
    (case,) = what.cases
    assert len(case.shares) == 2 and [row.reading for row in case.rows] == ["recorded", *["more"] * 4]
    first, last = case.rows[0].finding.interval, case.rows[-1].finding.interval
    ratios = [1 - share.estimate for share in case.shares]
    assert last.estimate - first.estimate == pytest.approx(GROWTH * math.log(ratios[1] / ratios[0]))


def test_a_refused_contrast_stays_refused(examine):
    def outcome(cell):
        told = truth(0.05)(cell)
        told["spent"]["train_s"] *= 1.05 if cell.levels["norm"] == "gn" else 1
        return told

    _, what = examine(0.05, outcome=outcome)
    assert {row.verdict for row in what.cases[0].rows} == {"refused"} and what.cases[0].break_even is None
    assert "would still have no verdict" in sentences(what)[1]


def test_a_given_share_belongs_to_the_treatment_and_is_exact(examine):
    _, what = examine(-0.02, share=0.2, times=(2.0,))
    case = what.cases[0]
    assert case.shares == (Share("gn+ws, batch 4", "", 0.2, 0.2, 0.2, 0),)
    assert case.rows[0].ratios == (0.9,)
    assert sentences(what)[0] == "The kernel takes 20.0 % of a step of gn+ws, batch 4, as given."


def test_two_seeds_tell_nothing(examine):
    _, what = examine(0.05, study={"seeds": (1, 2)})
    told = [row.verdict for row in what.cases[0].rows]
    assert told[0] == "inconclusive" and told[-1] is None
    assert (what.cases[0].shares[0].low, what.cases[0].shares[0].high) == (0, 1)


def test_a_failed_run_stays_failed_however_fast_its_kernel(examine):
    def outcome(cell):
        lost = cell.seed == 3 and cell.levels == GN_WS | AT_4
        return "diverged" if lost else truth(0.05)(cell)

    results, what = examine(0.05, outcome=outcome)
    for row in what.cases[0].rows:
        assert row.finding.differences[3] == pytest.approx(0.1 - results.frame["test_acc"].iloc[
            results.frame.index[(results.frame["seed"] == 3) & (results.frame["arm"] == "bn, batch 4")][0]
        ])  # fmt: skip


def test_a_loss_falls_with_more_updates(examine):
    def outcome(cell):
        told = truth(0.0)(cell)
        mine = cell.levels["weight_std"] and cell.levels["norm"] == "gn"
        grown = math.log(told["spent"]["steps"] / STEPS) if mine else 0.0
        told["measured"]["test_loss"] = 0.5 + 0.03 * mine - 0.2 * grown + luck(cell)
        return told

    loss = Contrast("loss", GN_WS, BN, AT_4, metric="test_loss")
    _, what = examine(0.0, outcome=outcome, study={"primary": loss})
    case = what.cases[0]
    assert (case.rows[0].verdict, case.rows[-1].verdict) == ("worse", "better")


def test_a_budget_that_is_not_in_seconds_has_no_what_if(make_study, publish):
    store = publish(in_steps(make_study, 100), truth(0.0))
    assert whatif.examine(load.load(store), store) is None
